/** The cookies of a request's event: those that came, and those that its answer sets. */
import { describeValue } from "../../describe.ts";

/** As SvelteKit has them; other frameworks have some of these. */
export interface CookieOptions {
  path?: string;
  domain?: string;
  /** In seconds. */
  maxAge?: number;
  expires?: Date | string;
  httpOnly?: boolean;
  secure?: boolean;
  partitioned?: boolean;
  sameSite?: boolean | string;
  priority?: string;
}

/** Options that are not given: SvelteKit's, and all paths of the function, as Astro has it. */
const DEFAULTS: CookieOptions = { path: "/", httpOnly: true, sameSite: "lax" };
const ATTRIBUTES: readonly [option: keyof CookieOptions, name: string][] = [
  ["maxAge", "Max-Age"],
  ["domain", "Domain"],
  ["path", "Path"],
  ["expires", "Expires"],
  ["httpOnly", "HttpOnly"],
  ["secure", "Secure"],
  ["partitioned", "Partitioned"],
  ["sameSite", "SameSite"],
  ["priority", "Priority"],
];
/** A token (RFC 9110, section 5.6.2). */
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Characters that would end an attribute (RFC 6265, section 4.1.1). */
const NOT_OF_AN_ATTRIBUTE = /[;\p{Cc}]/u;

export class EventCookies {
  readonly #values = new Map<string, string>();
  readonly #set = new Map<string, string>();
  readonly #defaults: CookieOptions;

  /** @param header the field `cookie`. @param url of the request */
  constructor(header: string, { protocol }: URL) {
    // Browsers keep no secure cookie of a page without TLS.
    this.#defaults = { ...DEFAULTS, secure: protocol === "https:" };
    for (const pair of header.split(";")) {
      const at = pair.indexOf("=");
      if (at > 0) this.#values.set(pair.slice(0, at).trim(), decoded(pair.slice(at + 1).trim()));
    }
  }

  get(name: string): string | undefined {
    return this.#values.get(name);
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  getAll(): { name: string; value: string }[] {
    return [...this.#values].map(([name, value]) => ({ name, value }));
  }

  /** Sets a cookie by name and value, or by an object with both and its options. */
  set(cookie: string | ({ name: string; value: unknown } & CookieOptions), value?: unknown, options?: CookieOptions) {
    if (typeof cookie === "object") return this.#keep(cookie.name, cookie.value, cookie);
    this.#keep(cookie, value, options);
  }

  delete(cookie: string | ({ name: string } & CookieOptions), options?: CookieOptions): void {
    const name = typeof cookie === "object" ? cookie.name : cookie;
    this.#keep(name, "", { ...(typeof cookie === "object" ? cookie : options), maxAge: 0 });
    this.#values.delete(name);
  }

  /** The field that `set` would add. @throws TypeError for what no field can say */
  serialize(name: string, value: unknown, options: CookieOptions = {}): string {
    if (!NAME.test(name)) throw new TypeError(`A cookie cannot have the name ${describeValue(name)}.`);
    const all: CookieOptions = { ...this.#defaults, ...options };
    const attributes = ATTRIBUTES.flatMap(([option, attribute]) => attributeOf(attribute, all[option]));
    return [`${name}=${encodeURIComponent(textOf(value))}`, ...attributes].join("; ");
  }

  /** What the answer sets, a field for each cookie. */
  get fields(): string[] {
    return [...this.#set.values()];
  }

  #keep(name: string, value: unknown, options: CookieOptions = {}): void {
    const { domain = "", path = "/" } = options;
    this.#set.set(`${name};${domain};${path}`, this.serialize(name, value, options));
    this.#values.set(name, textOf(value));
  }
}

function attributeOf(name: string, value: CookieOptions[keyof CookieOptions]): string[] {
  if (value === undefined || value === null || value === false) return [];
  if (value === true) return [name === "SameSite" ? "SameSite=Strict" : name];
  const text = value instanceof Date ? value.toUTCString() : String(value);
  if (NOT_OF_AN_ATTRIBUTE.test(text)) throw new TypeError(`A cookie cannot have the ${name} ${describeValue(text)}.`);
  return [`${name}=${name === "SameSite" ? text.charAt(0).toUpperCase() + text.slice(1) : text}`];
}

function textOf(value: unknown): string {
  return typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
