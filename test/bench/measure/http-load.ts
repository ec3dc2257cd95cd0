/**
 * The load generator: HTTP calls over kept connections, one for each lane. A target is a URL, or
 * several with spaces between them, which the lanes share out among them. With the argument
 * "patient" a call that is refused as too many wait is made again, and takes until it is answered.
 * It writes the same bytes
 * again and reads no more of an answer than it must, as its processor time is taken from whoever is
 * measured on the same machine.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { serveBlocks } from "./child.ts";

const isPatient = process.argv[2] === "patient";
/** How long a patient client waits before it calls again. */
const AGAIN_MS = 20;

const HEAD_END = "\r\n\r\n";
const LAST_CHUNK = `0${HEAD_END}`;

/** One kept connection with one call at a time. */
class Lane {
  readonly #socket: Socket;
  readonly #request: Buffer;
  #answer = new Answer();
  #pending: PromiseWithResolvers<boolean> | null = null;

  private constructor(socket: Socket, url: URL) {
    this.#socket = socket;
    this.#request = Buffer.from(`GET ${url.pathname}${url.search} HTTP/1.1\r\nhost: ${url.host}${HEAD_END}`);
    socket.setNoDelay(true);
    socket.on("data", (bytes: Buffer) => this.#read(bytes));
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
  async call(): Promise<void> {
    while (!(await this.#isServed())) await delay(AGAIN_MS);
  }

  #isServed(): Promise<boolean> {
    this.#pending = Promise.withResolvers();
    this.#socket.write(this.#request);
    return this.#pending.promise;
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(bytes: Buffer): void {
    if (!this.#answer.add(bytes)) return;
    const { head } = this.#answer;
    this.#answer = new Answer();
    if (head.startsWith("HTTP/1.1 200 ")) this.#pending?.resolve(true);
    else if (isPatient && head.startsWith("HTTP/1.1 503 ")) this.#pending?.resolve(false);
    else this.#fail(new Error(`an answer that is not 200: ${head} ${bytes.toString("latin1").slice(-500)}`));
  }

  #fail(error: Error): void {
    this.#pending?.reject(error);
  }
}

/** One answer as its bytes come: RFC 9112, section 6, as far as the servers here use it. */
class Answer {
  head = "";
  /** The last bytes of a body whose length nobody said, or of a head that is not whole yet. */
  #tail = "";
  /**
   * How many bytes of the body lack; null before the head is whole, and where the body comes in
   * chunks.
   */
  #lacking: number | null = null;

  /** Whether these bytes make it whole. */
  add(bytes: Buffer): boolean {
    if (this.#lacking !== null) {
      this.#lacking -= bytes.length;
      return this.#lacking <= 0;
    }
    if (this.head === "") return this.#addToHead(bytes);
    this.#tail = (this.#tail + bytes.toString("latin1", Math.max(0, bytes.length - LAST_CHUNK.length))).slice(
      -LAST_CHUNK.length,
    );
    return this.#tail === LAST_CHUNK;
  }

  #addToHead(bytes: Buffer): boolean {
    // One character a byte, so that lengths agree.
    const text = this.#tail + bytes.toString("latin1");
    const headEnd = text.indexOf(HEAD_END);
    this.#tail = text;
    if (headEnd < 0) return false;
    this.head = text.slice(0, headEnd);
    const length = /\r\ncontent-length: *(\d+)/i.exec(this.head)?.[1];
    this.#tail = text.slice(-LAST_CHUNK.length);
    if (length === undefined) return this.#tail === LAST_CHUNK;
    this.#lacking = Number(length) - (text.length - headEnd - HEAD_END.length);
    return this.#lacking <= 0;
  }
}

let lanes: Lane[] = [];

serveBlocks({
  // New connections for each block: a server may close what rests between two of them in the middle
  // of the next.
  open: async (target, count) => {
    const urls = target.split(" ");
    lanes = await Promise.all(
      Array.from({ length: count }, (_, lane) => Lane.open(urls[lane % urls.length] as string)),
    );
    return () => {
      for (const lane of lanes) lane.close();
    };
  },
  call: async (_target, number) => lanes[number]?.call(),
  close: async () => {
    for (const lane of lanes) lane.close();
  },
});
