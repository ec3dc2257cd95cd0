/**
 * The Request that a function gets, and the class of that name: Node's is made when a function asks
 * for what only it can.
 */
import type { HeaderPairs } from "../../protocol/frames.ts";
import { copyHeaders, facadeOf, makerOf } from "./lazy.ts";

// Captured before tenant code.
const [NodeRequest, NodeHeaders, NodeURL] = [Request, Headers, URL];

/** The parts of a Request. */
export interface RequestParts {
  method: string;
  /** Absolute. */
  url: string;
  headers: HeaderPairs;
  /** Gives what is aborted when nobody waits for the answer any more. */
  signal: () => AbortSignal;
  /** The body and its options as Node's constructor takes them. */
  body: Pick<RequestInit, "body" | "duplex"> | null;
}

/** Methods that Node's class takes as they are. Others it changes, or refuses. */
const PLAIN_METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

let isLazy: (value: unknown) => boolean;
let toNode: (request: object) => Request;
let answers: Record<string, (request: LazyRequest) => unknown>;

class LazyRequest {
  readonly #parts: RequestParts;
  readonly #url: URL;
  /** The object that a function has seen counts from then on. */
  #headers: Headers | null = null;
  #node: Request | null = null;

  constructor(parts: RequestParts, url: URL) {
    this.#parts = parts;
    this.#url = url;
  }

  #toNode(): Request {
    this.#node ??= nodesRequest(this.#parts);
    if (this.#headers !== null) copyHeaders(this.#headers, this.#node.headers);
    return this.#node;
  }

  static {
    isLazy = (value) => typeof value === "object" && value !== null && #node in value;
    toNode = (request) => (request as LazyRequest).#toNode();
    answers = {
      method: (request) => request.#parts.method,
      url: (request) => request.#url.href,
      headers(request) {
        request.#headers ??= new NodeHeaders(request.#parts.headers);
        return request.#headers;
      },
      signal: (request) => request.#parts.signal(),
      body: (request) => (request.#parts.body === null ? null : request.#toNode().body),
      bodyUsed: (request) => (request.#parts.body === null ? false : request.#toNode().bodyUsed),
    };
  }
}

const makeLazy = makerOf(LazyRequest, NodeRequest as never);

/** The class that functions find. */
export const FacadeRequest = facadeOf({
  nodes: NodeRequest as never,
  answers,
  isLazy,
  toNode,
  make(args) {
    if (isLazy(args[0])) args[0] = toNode(args[0] as object);
    return null;
  },
}) as unknown as typeof Request;

/** A Request of these parts. @throws TypeError when none can be made of them */
export function requestOf(parts: RequestParts): Request {
  const url = PLAIN_METHODS.has(parts.method) ? NodeURL.parse(parts.url) : null;
  // Node says what is wrong with it.
  if (url === null || url.username !== "" || url.password !== "") return nodesRequest(parts);
  return makeLazy([parts, url]) as Request;
}

function nodesRequest({ method, url, headers, signal, body }: RequestParts): Request {
  return new NodeRequest(url, { method, headers, signal: signal(), ...body });
}

/** Node's own fetch, which takes a lazy Request as well. */
export function takingLazy(nodeFetch: typeof fetch): typeof fetch {
  return function fetch(input, init = undefined) {
    return nodeFetch(isLazy(input) ? toNode(input as Request) : input, init);
  };
}
