/**
 * The class Response that a function finds: Node's is made when a function asks for what only it
 * can.
 */
import { types } from "node:util";
import type { HeaderPairs } from "../../protocol/frames.ts";
import { copyHeaders, facadeOf, makerOf } from "./lazy.ts";

// Captured before tenant code.
const [NodeResponse, NodeHeaders] = [Response, Headers];
const nodesJson = NodeResponse.json;
const { stringify } = JSON;
const { isInteger } = Number;
const { apply, defineProperty, getOwnPropertyDescriptor } = Reflect;
const { isUint8Array, isArrayBuffer } = types;
const OrdinaryBytes = Uint8Array;
const { from: bufferFrom } = Buffer;

/** The type that Node gives a text (Fetch, "extract a body"). */
const TEXT_TYPE = "text/plain;charset=UTF-8";
const JSON_TYPE = "application/json";
/**
 * A longer body is read as a stream, so that what is too long to be kept whole can go on its way in
 * parts.
 */
const MOST_PLAIN = 1024 * 1024;
/** Statuses whose Response may have no body. */
const BODYLESS = new Set([204, 205, 304]);

/** RFC 9112 section 4: what a reason phrase may consist of. */
const REASON_PHRASE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** A Response as what it was made of. */
export interface PlainResponse {
  status: number;
  statusText: string;
  headers: HeaderPairs;
  body: Uint8Array | null;
}

type Body = string | Uint8Array<ArrayBuffer> | null;

/** Settings as they were given, each read once, in Node's order. */
interface Settings {
  headers?: unknown;
  status?: unknown;
  statusText?: unknown;
}

/** Settings that need no conversion. */
interface Start {
  status: number;
  statusText: string;
  headers: Headers | null;
}

const PLAIN: Settings = {};
const PLAIN_START: Start = { status: 200, statusText: "", headers: null };

let isLazy: (value: unknown) => boolean;
let toNode: (response: object) => Response;
let takeParts: (response: object) => PlainResponse | null;
let answers: Record<string, (response: LazyResponse) => unknown>;

class LazyResponse {
  readonly #body: Body;
  readonly #status: number;
  readonly #statusText: string;
  /** The body's type, which counts as long as there are no other fields. */
  readonly #type: string | null;
  #headers: Headers | null;
  #node: Response | null = null;
  #isUsed = false;

  constructor(body: Body, type: string | null, { status, statusText, headers }: Start) {
    this.#body = body;
    this.#type = type;
    this.#status = status;
    this.#statusText = statusText;
    this.#headers = headers;
    if (type !== null && headers !== null && !headers.has("content-type")) headers.set("content-type", type);
  }

  #getHeaders(): Headers {
    this.#headers ??= new NodeHeaders(this.#type === null ? [] : [["content-type", this.#type]]);
    return this.#headers;
  }

  #toNode(): Response {
    const headers = this.#getHeaders();
    if (this.#node === null) {
      this.#node = new NodeResponse(this.#body, { status: this.#status, statusText: this.#statusText });
      if (this.#isUsed) this.#node.bytes().catch(() => {});
    }
    // Not by the constructor, which adds the body's type to fields that have none.
    copyHeaders(headers, this.#node.headers);
    return this.#node;
  }

  #take(): PlainResponse | null {
    if (this.#node !== null || this.#isUsed) return null;
    this.#isUsed = this.#body !== null;
    const body = typeof this.#body === "string" ? bufferFrom(this.#body) : this.#body;
    return { status: this.#status, statusText: this.#statusText, headers: this.#pairs(), body };
  }

  #pairs(): HeaderPairs {
    if (this.#headers !== null) return [...this.#headers];
    return this.#type === null ? [] : [["content-type", this.#type]];
  }

  static {
    isLazy = (value) => typeof value === "object" && value !== null && #node in value;
    toNode = (response) => (response as LazyResponse).#toNode();
    takeParts = (response) => (response as LazyResponse).#take();
    answers = {
      status: (response) => response.#status,
      statusText: (response) => response.#statusText,
      ok: (response) => response.#status >= 200 && response.#status <= 299,
      headers: (response) => response.#getHeaders(),
      body: (response) => (response.#body === null ? null : response.#toNode().body),
      bodyUsed: (response) => (response.#node === null ? response.#isUsed : response.#node.bodyUsed),
    };
  }
}

const makeLazy = makerOf(LazyResponse, NodeResponse as never);

/** The class that functions find. */
export const FacadeResponse = facadeOf({
  nodes: NodeResponse as never,
  answers,
  isLazy,
  toNode,
  make(args, isExtended) {
    const [body] = args;
    if (isExtended || !isPlainBody(body)) return null;
    const settings = readSettings(args[1]);
    const start = settings === PLAIN ? PLAIN_START : settings && startOf(settings, body != null);
    if (start === null) {
      if (settings !== null) args[1] = settings;
      return null;
    }
    if (typeof body === "string") return makeLazy([body, TEXT_TYPE, start]);
    // As Node does: what the function changes later does not change the Response.
    return makeLazy([body == null ? null : new OrdinaryBytes(body), null, start]);
  },
}) as unknown as typeof Response;

/**
 * Takes status, fields and body of a Response that was made of plain parts and nobody looked into;
 * null of any other.
 */
export function takePlainParts(response: object): PlainResponse | null {
  return isLazy(response) ? takeParts(response) : null;
}

/** Whether a body is a text or bytes of a kind that are copied as they are, and few. */
function isPlainBody(body: unknown): body is Body | undefined {
  if (body == null) return true;
  if (typeof body === "string") return body.length <= MOST_PLAIN;
  // Those of no length may have lost their buffer, which counts as empty for Node.
  return isUint8Array(body) && body.length > 0 && body.length <= MOST_PLAIN && isArrayBuffer(body.buffer);
}

/**
 * The settings that a constructor was given; null for what is none, of which Node says what is
 * wrong.
 */
function readSettings(init: unknown): Settings | null {
  if (init == null) return PLAIN;
  if (typeof init !== "object" && typeof init !== "function") return null;
  const { headers, status, statusText } = init as Settings;
  return { headers, status, statusText };
}

/** The start of a Response with these settings; null when Node has to look at them. */
function startOf({ headers, status = 200, statusText = "" }: Settings, hasBody: boolean): Start | null {
  if (!isInteger(status) || (status as number) < 200 || (status as number) > 599) return null;
  if (typeof statusText !== "string" || !REASON_PHRASE.test(statusText)) return null;
  if (hasBody && BODYLESS.has(status as number)) return null;
  if (headers === undefined) return { status: status as number, statusText, headers: null };
  try {
    return { status: status as number, statusText, headers: new NodeHeaders(headers as HeaderPairs) };
  } catch {
    return null;
  }
}

/** Response.json, which makes a lazy Response where it can. */
function lazyJson(args: unknown[]): Response {
  const [data, init] = args;
  const settings = args.length === 0 || init === null ? null : readSettings(init);
  const start = settings && startOf(settings, true);
  if (settings === null || start === null) return nodes(nodesJson, settings === null ? args : [data, settings]);
  const text = stringify(data);
  if (text === undefined) return nodes(nodesJson, [undefined]);
  if (text.length <= MOST_PLAIN) return makeLazy([text, JSON_TYPE, start]) as Response;
  // The data becomes text once, as that may run a function's own code.
  const { status, statusText, headers } = start;
  const response = new NodeResponse(bufferFrom(text), { status, statusText, headers: headers ?? [] });
  if (!response.headers.has("content-type")) response.headers.set("content-type", JSON_TYPE);
  return response;
}

function nodes(method: (...args: never[]) => Response, args: unknown[]): Response {
  return apply(method, NodeResponse, args);
}

const { json } = {
  json(...args: unknown[]): Response {
    return lazyJson(args);
  },
};
defineProperty(json, "length", { value: nodesJson.length, configurable: true });
defineProperty(NodeResponse, "json", { ...getOwnPropertyDescriptor(NodeResponse, "json"), value: json });
