/** The class Response that a function finds: Node's is made when a function asks for what only it can. */
import type { HeaderPairs } from "../../protocol/frames.ts";
import { copyHeaders, standFor } from "./lazy.ts";

// Captured before tenant code.
const [NodeResponse, NodeHeaders] = [Response, Headers];
const { stringify } = JSON;
const { isInteger } = Number;
const { getPrototypeOf } = Object;
const OrdinaryBytes = Uint8Array;
const OrdinaryBuffer = ArrayBuffer;
const { from: bufferFrom } = Buffer;

/** What Node says of a text's type (Fetch, "extract a body"). */
const TEXT_TYPE = "text/plain;charset=UTF-8";
const JSON_TYPE = "application/json";
/** A longer body is read as a stream, so that what is too long to be kept whole can go on its way in parts. */
const MOST_PLAIN = 1024 * 1024;
/** Statuses whose Response may have no body. */
const BODYLESS = new Set([204, 205, 304]);

/** A Response as what it was made of. */
export interface PlainResponse {
  status: number;
  headers: HeaderPairs;
  body: Uint8Array | null;
}

type Body = string | Uint8Array<ArrayBuffer> | null;

let nodeOf: (response: object) => Response;
let takeParts: (response: object) => PlainResponse | null;

export class LazyResponse {
  #body: Body = null;
  #status = 200;
  #type: string | null = null;
  /** What counts, once there are any but the body's type. */
  #headers: Headers | null = null;
  #node: Response | null = null;
  #isUsed = false;

  constructor(body?: ConstructorParameters<typeof Response>[0], init?: ResponseInit) {
    if (!isPlainBody(body) || !this.#takeInit(body, init)) {
      this.#node = new NodeResponse(body, init);
      return;
    }
    // As Node does: what the function changes later does not change the Response.
    this.#body = typeof body === "string" ? body : body == null ? null : new OrdinaryBytes(body);
    if (typeof body === "string") this.#setType(TEXT_TYPE);
  }

  static json(data: unknown, init?: ResponseInit): Response {
    const text = stringify(data);
    const response = new LazyResponse(null);
    // Node says what cannot be JSON.
    if (text === undefined) return NodeResponse.json(data, init);
    if (!isPlainBody(text) || !response.#takeInit(text, init)) return nodesJson(text, init);
    response.#body = text;
    response.#setType(JSON_TYPE);
    return response as unknown as Response;
  }

  get status(): number {
    return this.#node === null ? this.#status : this.#node.status;
  }

  get ok(): boolean {
    return this.status >= 200 && this.status <= 299;
  }

  get headers(): Headers {
    if (this.#headers !== null) return this.#headers;
    if (this.#node !== null) return this.#node.headers;
    this.#headers = new NodeHeaders(this.#type === null ? [] : [["content-type", this.#type]]);
    return this.#headers;
  }

  get body(): Response["body"] {
    return this.#node === null && this.#body === null ? null : this.#toNode().body;
  }

  get bodyUsed(): boolean {
    return this.#node === null ? this.#isUsed : this.#node.bodyUsed;
  }

  /** Keeps settings that need no conversion; false when Node has to look at them. */
  #takeInit(body: unknown, init: ResponseInit | undefined): boolean {
    if (init == null) return true;
    if (typeof init !== "object") return false;
    const { headers, status = 200, statusText } = init;
    if (statusText !== undefined || !isInteger(status) || status < 200 || status > 599) return false;
    if (body != null && BODYLESS.has(status)) return false;
    if (headers !== undefined) this.#headers = new NodeHeaders(headers);
    this.#status = status;
    return true;
  }

  #setType(type: string): void {
    if (this.#headers === null) this.#type = type;
    else if (!this.#headers.has("content-type")) this.#headers.set("content-type", type);
  }

  #toNode(): Response {
    if (this.#node === null) {
      const { headers } = this;
      this.#node = new NodeResponse(this.#body, { status: this.#status, headers });
      if (this.#isUsed) this.#node.bytes().catch(() => {});
    } else if (this.#headers !== null) copyHeaders(this.#headers, this.#node.headers);
    return this.#node;
  }

  #take(): PlainResponse | null {
    // What extends this class may answer otherwise than it was asked to.
    if (this.#node !== null || this.#isUsed || getPrototypeOf(this) !== LazyResponse.prototype) return null;
    this.#isUsed = this.#body !== null;
    const body = typeof this.#body === "string" ? bufferFrom(this.#body) : this.#body;
    return { status: this.#status, headers: this.#pairs(), body };
  }

  #pairs(): HeaderPairs {
    if (this.#headers !== null) return [...this.#headers];
    return this.#type === null ? [] : [["content-type", this.#type]];
  }

  static {
    nodeOf = (response) => (#node in response ? response.#toNode() : (response as Response));
    takeParts = (response) => (#node in response ? response.#take() : null);
  }
}

standFor(LazyResponse as never, NodeResponse as never, nodeOf);

/** Takes status, fields and body of a Response that was made of plain parts and nobody looked into; null of any other. */
export function takePlainParts(response: object): PlainResponse | null {
  return takeParts(response);
}

/** Node's of a text that is JSON already: what a function does while its data becomes text is done once. */
function nodesJson(text: string, init: ResponseInit | undefined): Response {
  const response = new NodeResponse(text, init);
  if (!new NodeHeaders(init?.headers).has("content-type")) response.headers.set("content-type", JSON_TYPE);
  return response;
}

/** Whether a body is a text or bytes of a kind that are copied as they are, and few. */
function isPlainBody(body: unknown): body is Body | undefined {
  if (body == null) return true;
  if (typeof body === "string") return body.length <= MOST_PLAIN;
  if (!(body instanceof OrdinaryBytes) || body.byteLength > MOST_PLAIN) return false;
  return getPrototypeOf(body.buffer) === OrdinaryBuffer.prototype;
}
