/** The Request that a function gets, and the class of that name: Node's is made when a function asks for what only it can. */
import type { HeaderPairs } from "../../protocol/frames.ts";
import { copyHeaders, standFor } from "./lazy.ts";

// Captured before tenant code.
const [NodeRequest, NodeHeaders, NodeURL] = [Request, Headers, URL];

/** What a Request is made of. */
export interface RequestParts {
  method: string;
  /** Absolute. */
  url: string;
  headers: HeaderPairs;
  /** Gives what is aborted when nobody waits for the answer any more. */
  signal: () => AbortSignal;
  /** What Node's constructor is given as the body, and with it. */
  body: Pick<RequestInit, "body" | "duplex"> | null;
}

type Input = ConstructorParameters<typeof Request>[0];

/** Methods that Node's class takes as they are. Others it changes, or refuses. */
const PLAIN_METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/** Said to the constructor by this file alone. */
const FROM_PARTS = Symbol("from parts");

let nodeOf: (request: object) => Request;

export class LazyRequest {
  readonly #parts: RequestParts | null = null;
  readonly #url: URL | null = null;
  /** What a function has asked for is what counts from then on. */
  #headers: Headers | null = null;
  #node: Request | null = null;

  constructor(input: Input | typeof FROM_PARTS, init?: RequestInit | RequestParts) {
    if (input !== FROM_PARTS) {
      this.#node = new NodeRequest(nodeOf(input as object) as Input, init as RequestInit);
      return;
    }
    this.#parts = init as RequestParts;
    const url = PLAIN_METHODS.has(this.#parts.method) ? NodeURL.parse(this.#parts.url) : null;
    if (url !== null && url.username === "" && url.password === "") this.#url = url;
    // It says what is wrong with it.
    else this.#toNode();
  }

  get method(): string {
    return this.#url === null ? this.#toNode().method : (this.#parts as RequestParts).method;
  }

  get url(): string {
    return this.#url === null ? this.#toNode().url : this.#url.href;
  }

  get headers(): Headers {
    if (this.#parts === null) return this.#toNode().headers;
    this.#headers ??= new NodeHeaders(this.#parts.headers);
    return this.#headers;
  }

  get signal(): AbortSignal {
    return this.#parts === null ? this.#toNode().signal : this.#parts.signal();
  }

  get body(): Request["body"] {
    return this.#parts !== null && this.#parts.body === null ? null : this.#toNode().body;
  }

  get bodyUsed(): boolean {
    return this.#parts !== null && this.#parts.body === null ? false : this.#toNode().bodyUsed;
  }

  #toNode(): Request {
    if (this.#node === null) {
      const { method, url, headers, signal, body } = this.#parts as RequestParts;
      this.#node = new NodeRequest(url, { method, headers: this.#headers ?? headers, signal: signal(), ...body });
    } else if (this.#headers !== null) copyHeaders(this.#headers, this.#node.headers);
    return this.#node;
  }

  static {
    nodeOf = (request) =>
      typeof request === "object" && request !== null && #parts in request ? request.#toNode() : (request as Request);
  }
}

standFor(LazyRequest as never, NodeRequest as never, nodeOf);

/** A Request of these parts. @throws TypeError when none can be made of them */
export function requestOf(parts: RequestParts): Request {
  return new LazyRequest(FROM_PARTS, parts) as unknown as Request;
}

/** Node's own fetch, which takes a lazy Request as well. */
export function takingLazy(nodeFetch: typeof fetch): typeof fetch {
  return function fetch(input, init) {
    return nodeFetch(nodeOf(input as object), init);
  };
}
