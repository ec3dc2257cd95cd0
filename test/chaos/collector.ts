/** An OTLP endpoint that takes what it gets, or hangs. */
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export class Collector {
  readonly #server = createServer((request, response) => {
    request.on("data", (chunk: Buffer) => this.onData?.(chunk));
    request.once("end", () => this.#answer(response));
  });
  /** Gets what is sent. */
  onData: ((chunk: Buffer) => void) | null = null;
  readonly #waiting = new Set<ServerResponse>();
  #hangs = false;

  static async start(): Promise<Collector> {
    const collector = new Collector();
    collector.#server.listen(0, "127.0.0.1");
    await once(collector.#server, "listening");
    return collector;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** From now on requests get no answer. */
  hang(): void {
    this.#hangs = true;
  }

  /** Answers all that waits, and what comes. */
  heal(): void {
    this.#hangs = false;
    for (const response of this.#waiting) this.#answer(response);
    this.#waiting.clear();
  }

  async close(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  #answer(response: ServerResponse): void {
    if (this.#hangs) this.#waiting.add(response);
    else response.writeHead(200, { "content-type": "application/json" }).end("{}");
  }
}
