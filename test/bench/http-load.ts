/**
 * The load generator: HTTP calls over kept connections, one for each lane. It writes the same bytes again and reads no
 * more of an answer than it must, as its processor time is taken from whoever is measured on the same machine.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { serveBlocks } from "./child.ts";

const HEAD_END = "\r\n\r\n";

/** One kept connection with one call at a time. */
class Lane {
  readonly #socket: Socket;
  readonly #request: Buffer;
  #received = "";
  #pending: PromiseWithResolvers<void> | null = null;

  private constructor(socket: Socket, url: URL) {
    this.#socket = socket;
    this.#request = Buffer.from(`GET ${url.pathname}${url.search} HTTP/1.1\r\nhost: ${url.host}${HEAD_END}`);
    socket.setNoDelay(true);
    // One character a byte, so that lengths agree.
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => this.#read(text));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Error("the server closed the connection")));
  }

  static async open(target: string): Promise<Lane> {
    const url = new URL(target);
    const socket = connect(Number(url.port), url.hostname);
    await once(socket, "connect");
    return new Lane(socket, url);
  }

  /** @throws Error when the answer is not 200 */
  call(): Promise<void> {
    this.#pending = Promise.withResolvers();
    this.#socket.write(this.#request);
    return this.#pending.promise;
  }

  /** Whether the server has left the connection open. */
  get usable(): boolean {
    return this.#socket.writable;
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(text: string): void {
    this.#received += text;
    const headEnd = this.#received.indexOf(HEAD_END);
    if (headEnd < 0 || !isWhole(this.#received, headEnd)) return;
    const answer = this.#received;
    this.#received = "";
    if (answer.startsWith("HTTP/1.1 200 ")) this.#pending?.resolve();
    else this.#fail(new Error(`an answer that is not 200: ${answer.slice(0, 1_000)}`));
  }

  #fail(error: Error): void {
    this.#pending?.reject(error);
  }
}

/** Whether the body is complete: RFC 9112, section 6, as far as the servers here use it. */
function isWhole(answer: string, headEnd: number): boolean {
  const head = answer.slice(0, headEnd);
  const bodyStart = headEnd + HEAD_END.length;
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (length !== undefined) return answer.length >= bodyStart + Number(length);
  return answer.endsWith(`0${HEAD_END}`);
}

const lanes = new Map<string, Lane>();

async function call(target: string, number: number): Promise<void> {
  const key = `${number} ${target}`;
  let lane = lanes.get(key);
  if (!lane?.usable) {
    lane = await Lane.open(target);
    lanes.set(key, lane);
  }
  await lane.call();
}

serveBlocks({
  call,
  close: async () => {
    for (const lane of lanes.values()) lane.close();
  },
});
