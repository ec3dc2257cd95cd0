/**
 * A client's connection: one request at a time is parsed and answered. Node's parser takes whatever
 * has arrived in one go, and may find thousands of requests there, each with its objects and all of
 * them in course at once. So the parser gets its bytes from here, in pieces that end where a
 * request's header fields or body end. Bytes behind a request without an answer stay bytes, and few
 * of them: the client is not read any more. An answer counts as given when the kernel has it, so
 * that a client that reads nothing is served nothing more.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { KIB } from "../../infra/std/bytes.ts";
import { backoffMs } from "../../infra/std/time.ts";

/** Header fields end like this, and so do bodies in chunks. */
const END = Buffer.from("\r\n\r\n");
const NOTHING = Buffer.alloc(0);
/** Beyond this much a client that sends ahead is not read until its turn comes. */
const MAX_AHEAD_BYTES = 16 * KIB;
/** Pauses between the interim responses that find out whether a client is there. */
const PROBE_PAUSES = { firstMs: 10, longestMs: 1_000 };

export class Connection {
  readonly #socket: Socket;
  readonly #parse: (bytes: Buffer) => void;
  /**
   * The request without a whole answer, and its answer: words that are written beside it would be
   * taken for the answer.
   */
  #request: IncomingMessage | null = null;
  #response: ServerResponse | null = null;
  /** Bytes that have arrived and were not parsed. */
  #ahead: Buffer = NOTHING;
  /**
   * The last bytes that were parsed while no `END` was among them, as the rest of it may come next.
   */
  #before: Buffer = NOTHING;
  /** How many bytes of a body are to come whose length was announced. */
  #bodyBytes = 0;
  #feeding = false;
  #paused = false;
  #left = false;
  /** Tells node that no more bytes come; null once that was told. */
  #finish: (() => void) | null;
  /** The client ended its side. */
  #clientEnded = false;
  #probing: NodeJS.Timeout | null = null;

  /** One for all requests: a call is short, and an arrow function for each would be seen in it. */
  readonly #onAnswered = (): void => {
    this.#request = null;
    this.#response = null;
    this.#feed();
  };

  /** @param socket a server's that node has just begun to serve. */
  constructor(socket: Socket) {
    this.#socket = socket;
    const [parse] = socket.listeners("data");
    this.#parse = parse as (bytes: Buffer) => void;
    socket.off("data", this.#parse);
    // The last listener is node's HTTP server's; the socket has one of its own before.
    const finish = socket.listeners("end").at(-1) as () => void;
    socket.off("end", finish);
    this.#finish = finish.bind(socket);
    // With a listener that is not its own, node leaves the reading of the socket to us.
    socket.on("data", (bytes: Buffer) => {
      if (this.#left) return;
      this.#ahead = this.#ahead.length === 0 ? bytes : Buffer.concat([this.#ahead, bytes]);
      this.#feed();
    });
    socket.once("end", () => {
      this.#clientEnded = true;
      this.#askClient();
      this.#feed();
    });
  }

  /** Notes that a request was parsed. */
  begin(request: IncomingMessage, response: ServerResponse): void {
    const { headers } = request;
    this.#bodyBytes = headers["transfer-encoding"] === undefined ? Number(headers["content-length"] ?? 0) : 0;
    this.#request = request;
    this.#response = response;
    response.on("close", this.#onAnswered);
    response.on("error", ignore);
    if (this.#clientEnded) this.#askClient();
  }

  /**
   * Whether words on this connection answer what was wrong: nothing is open, or only a request that
   * never ended.
   */
  get mayAnswer(): boolean {
    return this.#socket.writable && !this.#request?.complete && !this.#response?.headersSent;
  }

  /**
   * Whether the client waits for us, rather than we for it: it has asked, and has read what it was
   * told so far.
   */
  get isWaitedFor(): boolean {
    return this.#response !== null && this.#socket.writableLength === 0;
  }

  /** Parses nothing more: node has taken its parser away. */
  leave(): void {
    this.#left = true;
    this.#ahead = NOTHING;
    this.#pace();
  }

  /**
   * The client ended its side of the connection. The client left, or said all that it had to say
   * and still waits: the kernel shows no difference until something is sent to it. Interim
   * responses tell, which every client of HTTP/1.1 has to take (RFC 9110, section 15.2): when
   * nobody is there, the first is answered with a reset, and the next fails by that. In the middle
   * of an answer there is nothing of the kind, and ending the connection then counts as leaving.
   */
  #askClient(): void {
    const [request, response] = [this.#request, this.#response];
    if (!request?.complete || response === null || response.writableEnded) return;
    if (response.headersSent) this.#socket.destroy();
    else if (this.#probing === null) this.#probe(1);
  }

  #probe(attempt: number): void {
    const [request, response] = [this.#request, this.#response];
    this.#probing = null;
    if (response === null || this.#socket.destroyed) return;
    if (!response.headersSent && request?.httpVersion !== "1.0") response.writeContinue();
    this.#probing = setTimeout(() => this.#probe(attempt + 1), backoffMs(attempt, PROBE_PAUSES)).unref();
  }

  #feed(): void {
    // An answer may end within the parser's own call.
    if (this.#feeding) return;
    this.#feeding = true;
    while (this.#ahead.length > 0 && this.#mayParse()) {
      const bytes = this.#ahead;
      const length = this.#pieceLength();
      const isWhole = length === bytes.length;
      this.#ahead = isWhole ? NOTHING : bytes.subarray(length);
      this.#parse(isWhole ? bytes : bytes.subarray(0, length));
    }
    this.#feeding = false;
    if (this.#clientEnded && this.#ahead.length === 0) this.#tellEnd();
    this.#pace();
  }

  /** Node ends the connection with the answer to what it has parsed by now. */
  #tellEnd(): void {
    const finish = this.#finish;
    this.#finish = null;
    finish?.();
  }

  /** Has a client that sends far ahead wait, and reads on when all that it sent has been parsed. */
  #pace(): void {
    const full = this.#ahead.length > (this.#paused ? 0 : MAX_AHEAD_BYTES);
    if (full) this.#socket.pause();
    else if (this.#paused) this.#socket.resume();
    this.#paused = full;
  }

  /** Bytes behind the last request of a connection that is about to end are for nobody. */
  #mayParse(): boolean {
    if (this.#left || !this.#socket.writable) return false;
    return this.#request === null || !this.#request.complete;
  }

  /** Up to where one request, or the body of one, goes at most. */
  #pieceLength(): number {
    if (this.#bodyBytes > 0) {
      const length = Math.min(this.#bodyBytes, this.#ahead.length);
      this.#bodyBytes -= length;
      return length;
    }
    const end = findEnd(this.#before, this.#ahead);
    const last = (bytes: Buffer) => bytes.subarray(1 - END.length);
    this.#before = end === -1 ? last(Buffer.concat([this.#before, last(this.#ahead)])) : NOTHING;
    return end === -1 ? this.#ahead.length : end;
  }
}

/** Words after the client left go nowhere; without a listener they would end the process. */
function ignore(): void {}

/**
 * How many bytes there are up to and with the first `END`, which may have begun in the bytes
 * before; -1 if there is none.
 */
function findEnd(before: Buffer, bytes: Buffer): number {
  if (before.length > 0) {
    const seam = Buffer.concat([before, bytes.subarray(0, END.length - 1)]).indexOf(END);
    if (seam !== -1) return seam + END.length - before.length;
  }
  const at = bytes.indexOf(END);
  return at === -1 ? -1 : at + END.length;
}
