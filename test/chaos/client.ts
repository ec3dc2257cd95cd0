/**
 * A client of several gateways, as a load balancer is: it sends to those that say that they are
 * ready, keeps connections, and never sends anything twice.
 */
import { Agent, type IncomingMessage, request } from "node:http";

export interface Sent {
  method: string;
  path: string;
  body?: string;
  /** The body's content type. */
  type?: string;
}

export interface Answer {
  /** 0 when there was none. */
  status: number;
  /**
   * The error's code: Sandpiper's, or the connection's; `BROKEN` for an answer that ended early,
   * `LOST` when none came within the client's time. Null when there was no error.
   */
  code: string | null;
  body: Buffer;
}

/** How often a client asks gateways whether they are ready. */
const LOOK_MS = 200;

export interface ClientOptions {
  apiKey: string;
  /**
   * After how long a call is lost: far above the time after which a gateway gives up, which is
   * queue wait, time limit, and some.
   */
  lostMs: number;
}

export class Client {
  readonly #options: ClientOptions;
  /** A gateway may come back with another address. */
  readonly #urls: () => readonly string[];
  readonly #agent = new Agent({ keepAlive: true });
  readonly #looking: NodeJS.Timeout | null;
  #ready: ReadonlySet<string> = new Set();
  #turn = 0;

  /** @param urls addresses of the gateways as they are now */
  constructor(urls: () => readonly string[], options: ClientOptions) {
    this.#urls = urls;
    this.#options = options;
    this.#looking = urls().length > 1 ? setInterval(() => void this.#look(), LOOK_MS) : null;
  }

  /** Sends to the next gateway that is ready. Never rejects. */
  async send(sent: Sent): Promise<Answer> {
    return this.#sendTo(this.#next(), sent, this.#agent, this.#options.lostMs);
  }

  /** Ends the connections that it keeps. Call it when no call runs. */
  rest(): void {
    this.#agent.destroy();
  }

  /** Ends everything. */
  close(): void {
    if (this.#looking !== null) clearInterval(this.#looking);
    this.rest();
  }

  #next(): string {
    const all = this.#urls();
    const ready = all.filter((url) => this.#ready.has(url));
    const some = ready.length > 0 ? ready : all;
    return some[this.#turn++ % some.length] as string;
  }

  /** As load balancers do: a request for itself each time, with a short time limit. */
  async #look(): Promise<void> {
    const urls = this.#urls();
    const answers = await Promise.all(
      urls.map((url) => this.#sendTo(url, { method: "GET", path: "/readyz" }, undefined, 1_000)),
    );
    this.#ready = new Set(urls.filter((_, index) => answers[index]?.status === 200));
  }

  #sendTo(url: string, sent: Sent, agent: Agent | undefined, timeoutMs: number): Promise<Answer> {
    const { method, path, body = "", type = "text/plain" } = sent;
    const headers = {
      ...(path.startsWith("/v1/") && { authorization: `Bearer ${this.#options.apiKey}` }),
      ...(body !== "" && { "content-type": type, "content-length": Buffer.byteLength(body) }),
    };
    const { promise, resolve } = Promise.withResolvers<Answer>();
    const fail = (code: string, status = 0) => resolve({ status, code, body: Buffer.alloc(0) });
    const outgoing = request(new URL(path, url), { method, headers, ...(agent && { agent }) });
    const timer = setTimeout(() => {
      fail("LOST");
      outgoing.destroy();
    }, timeoutMs);
    outgoing.on("error", (error: NodeJS.ErrnoException) => fail(error.code ?? error.message));
    outgoing.on("response", (response) =>
      readAnswer(response).then(resolve, () => fail("BROKEN", response.statusCode)),
    );
    outgoing.end(body);
    return promise.finally(() => clearTimeout(timer));
  }
}

/** @throws Error when it ends early */
async function readAnswer(response: IncomingMessage): Promise<Answer> {
  const pieces: Buffer[] = [];
  for await (const piece of response) pieces.push(piece as Buffer);
  const body = Buffer.concat(pieces);
  const status = response.statusCode ?? 0;
  return { status, code: status < 400 ? null : codeOf(body, status), body };
}

function codeOf(body: Buffer, status: number): string {
  try {
    return (JSON.parse(body.toString()) as { error: { code: string } }).error.code;
  } catch {
    return `STATUS_${status}`;
  }
}
