/** Reads settings out of environment variables and gathers everything that is wrong with them. */
import { isIP } from "node:net";

/** What a host name of 253 characters has left beside the names of function and tenant. */
const MAX_FUNCTION_DOMAIN_LENGTH = 253 - 2 * (63 + ".".length);

export type Environment = Readonly<Record<string, string | undefined>>;

/** Says which variables are wrong and what each accepts. */
export class ConfigError extends Error {
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(`The configuration is wrong:\n${problems.map((problem) => `  ${problem}`).join("\n")}`);
    this.name = "ConfigError";
    this.problems = problems;
  }
}

/**
 * One pass over an environment: every getter notes what is wrong and goes on; `finish` throws if
 * anything was.
 */
export class EnvironmentReader {
  readonly #env: Environment;
  readonly #problems: string[] = [];

  constructor(env: Environment) {
    this.#env = env;
  }

  /** The value of a variable, or null when it is unset or empty. */
  text(name: string): string | null {
    return this.#env[name] || null;
  }

  integer<Fallback extends number | null>(
    name: string,
    bounds: { fallback: Fallback; min: number; max?: number },
  ): number | Fallback {
    const { fallback, min, max = Number.MAX_SAFE_INTEGER } = bounds;
    const text = this.text(name);
    if (text === null) return fallback;
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    this.problem(name, `must be a whole number from ${min} to ${max}`);
    return fallback;
  }

  choice<T extends string>(name: string, choices: readonly T[], fallback: T): T {
    const text = this.text(name);
    if (text === null) return fallback;
    const found = choices.find((choice) => choice === text);
    if (found !== undefined) return found;
    this.problem(name, `must be one of ${choices.join(", ")}`);
    return fallback;
  }

  /** Names of lower-case letters, digits and "-", separated by commas; none when it is unset. */
  names(name: string): string[] {
    const names = (this.text(name) ?? "").split(",").map((part) => part.trim());
    const given = names.filter((part) => part !== "");
    if (given.every((part) => /^[a-z][a-z0-9-]*$/.test(part))) return given;
    this.problem(name, 'must be names of lower-case letters, digits and "-", separated by commas');
    return [];
  }

  /** Words separated by commas; none when it is unset. */
  words(name: string): string[] {
    const given = (this.text(name) ?? "").split(",").map((part) => part.trim());
    return given.filter((part) => part !== "");
  }

  /** A domain below which functions have their hosts. */
  domain(name: string, fallback: string): string {
    const domain = (this.text(name) ?? fallback).toLowerCase();
    if (domain.length <= MAX_FUNCTION_DOMAIN_LENGTH && isDomain(domain)) return domain;
    const what = `a domain of at most ${MAX_FUNCTION_DOMAIN_LENGTH} characters, without "*." and port: example.com`;
    this.problem(name, `must be ${what}`);
    return fallback;
  }

  /** Host names, separated by commas; `*` stands for any. */
  hosts(name: string): readonly string[] {
    const given = (this.text(name) ?? "").toLowerCase().split(",");
    const hosts = given.map((part) => part.trim()).filter((part) => part !== "");
    if (hosts.every((host) => host === "*" || isDomain(host))) return hosts;
    this.problem(name, 'must be host names without ports (gateway.internal), separated by commas, or "*"');
    return [];
  }

  /** Addresses, and networks as `address/prefix`, separated by commas; `none` for none of them. */
  networks(name: string, fallback: readonly string[]): readonly string[] {
    const text = this.text(name);
    if (text === null) return fallback;
    if (text === "none") return [];
    const given = text.split(",").map((part) => part.trim());
    if (given.every(isNetwork)) return given;
    this.problem(name, 'must be "none", or addresses and networks (10.0.0.0/8) separated by commas');
    return fallback;
  }

  /** `address:port` to listen on, or `off`. */
  listener(name: string, fallback: string): string {
    const text = this.text(name) ?? fallback;
    const [, host = "", port = ""] = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/.exec(text) ?? [];
    if (text === "off" || (host !== "" && Number(port) <= 65_535)) return text;
    this.problem(name, 'must be "off", or an address and a port: 127.0.0.1:9464');
    return fallback;
  }

  /** Address and port of a server, IPv6 in brackets; null when unset. */
  server(name: string): string | null {
    const text = this.text(name);
    if (text === null) return null;
    const [, six, four = "", port = ""] = /^(?:\[([^\]]+)\]|([\d.]+)):(\d{1,5})$/.exec(text) ?? [];
    const isAddress = six === undefined ? isIP(four) === 4 : isIP(six) === 6;
    if (isAddress && Number(port) > 0 && Number(port) <= 65_535) return text;
    this.problem(name, "must be an address and a port: 127.0.0.1:53, [::1]:53");
    return null;
  }

  /** Some of these names, separated by commas; none when it is unset. */
  choices<T extends string>(name: string, choices: readonly T[]): T[] {
    const names = this.names(name);
    const found = choices.filter((choice) => names.includes(choice));
    if (names.some((given) => !choices.includes(given as T))) {
      this.problem(name, `must be some of ${choices.join(", ")}, separated by commas`);
    }
    return found;
  }

  /**
   * An absolute http or https URL without query and fragment, and without a slash at its end; null
   * when unset.
   */
  httpUrl(name: string): string | null {
    const text = this.text(name);
    if (text === null) return null;
    const url = URL.parse(text);
    if (url && /^https?:$/.test(url.protocol) && !url.search && !url.hash && !url.username) {
      return url.href.replace(/\/+$/, "");
    }
    this.problem(name, "must be an http:// or https:// URL without user, query and fragment");
    return null;
  }

  /** Notes that a variable is wrong. The value is left out: it may be a secret. */
  problem(name: string, what: string): void {
    this.#problems.push(`${name} ${what}`);
  }

  /** @throws ConfigError naming every variable that is wrong. */
  finish(): void {
    if (this.#problems.length > 0) throw new ConfigError(this.#problems);
  }
}

/** Labels of letters, digits, "-" and "_", of which the last one is not a number (WHATWG URL). */
function isDomain(text: string): boolean {
  return /^(?:[a-z0-9_-]{1,63}\.)*(?!\d+$|0x[0-9a-f]*$)[a-z0-9_-]{1,63}$/.test(text) && URL.canParse(`http://${text}/`);
}

function isNetwork(text: string): boolean {
  const [address = "", prefix, ...rest] = text.split("/");
  const bits = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  if (bits === -1 || address.includes("%") || rest.length > 0) return false;
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits);
}
