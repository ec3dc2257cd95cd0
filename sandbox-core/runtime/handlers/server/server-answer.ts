/**
 * Reads one answer of an HTTP/1.1 server from the bytes of a connection (RFC 9112, sections 4 to
 * 7). What a function's server says is passed on as it is, so an answer of which the end cannot be
 * told for sure is refused.
 */
import type { HeaderPairs } from "../../../protocol/frames.ts";
import { describeValue } from "../../describe.ts";

// Captured before tenant code.
const { concat, from } = Buffer;

export interface AnswerHead {
  status: number;
  /** The reason phrase, which may be empty. */
  reason: string;
  /** Names in lower case; fields of the one connection are left out. */
  headers: HeaderPairs;
}

/** Whoever gets an answer, in this order: one head, pieces of the body. */
export interface AnswerTaker {
  head(head: AnswerHead): void;
  /** Bytes that stay as they are. */
  body(bytes: Uint8Array): void;
}

/** The server's answer is none that HTTP/1.1 has. */
export class BadAnswer extends Error {
  override name = "BadAnswer";
}

/** Fields of one hop (RFC 9110, section 7.6.1), which say nothing to the client behind it. */
const HOP_BY_HOP = new Set([
  ...["connection", "keep-alive", "proxy-connection", "proxy-authenticate", "te", "trailer"],
  ...["transfer-encoding", "upgrade"],
]);
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: (.*))?$/;
const LENGTH = /^\d{1,15}$/;
const CHUNK_SIZE = /^([0-9a-f]{1,8})[\t ]*(?:;.*)?$/i;
const HEAD_END = from("\r\n\r\n");
const LINE_END = from("\r\n");
/** Most bytes of a head, as far as a reply can have them, and of one line between chunks. */
const MAX_HEAD_BYTES = 256 * 1024;
const MAX_LINE_BYTES = 16 * 1024;
const MOST_SHOWN = 60;
const EMPTY = from("");

/** How the end of a body is told. */
type Framing = "length" | "chunks" | "close";
type State = "head" | "body" | "chunk size" | "chunk" | "chunk end" | "trailers" | "done";

export class AnswerReader {
  readonly #method: string;
  readonly #taker: AnswerTaker;
  #state: State = "head";
  #framing: Framing = "length";
  /** Bytes that are missing of the body or of a chunk. */
  #missing = 0;
  /** A head or a line, as far as it came. */
  #rest: Buffer = EMPTY;
  #keepsAlive = false;

  /** @param method the request's: an answer to HEAD has no body */
  constructor(method: string, taker: AnswerTaker) {
    this.#method = method;
    this.#taker = taker;
  }

  /** Whether the answer is whole. */
  get isDone(): boolean {
    return this.#state === "done";
  }

  /** Whether another request may follow on the connection, on which nothing else has come. */
  get mayFollow(): boolean {
    return this.isDone && this.#keepsAlive && this.#rest.length === 0;
  }

  /** Takes what came. @throws BadAnswer, after which nothing of the connection is of use */
  push(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length && this.#state !== "done") at = this.#take(bytes, at);
    if (at < bytes.length) this.#rest = bytes.subarray(at);
  }

  /**
   * The server has ended its side of the connection. @throws BadAnswer when its answer is not whole
   */
  close(): void {
    if (this.#state === "body" && this.#framing === "close") this.#state = "done";
    if (this.#state !== "done") throw new BadAnswer("closed the connection in the middle of its answer");
  }

  #take(bytes: Buffer, at: number): number {
    switch (this.#state) {
      case "head":
        return this.#takeHead(bytes, at);
      case "body":
      case "chunk":
        return this.#takeBody(bytes, at);
      default:
        return this.#takeLine(bytes, at);
    }
  }

  #takeHead(bytes: Buffer, at: number): number {
    const before = this.#rest.length;
    const all = before === 0 ? bytes.subarray(at) : concat([this.#rest, bytes.subarray(at)]);
    const end = all.indexOf(HEAD_END, Math.max(0, before - HEAD_END.length));
    if (end === -1) {
      // A head that never ends is told from its first line on.
      if (!looksLikeHttp(all)) throw notHttp(all);
      if (all.length > MAX_HEAD_BYTES) throw new BadAnswer(`answered with a head of more than ${MAX_HEAD_BYTES} bytes`);
      this.#rest = all;
      return bytes.length;
    }
    this.#rest = EMPTY;
    this.#parseHead(all.subarray(0, end));
    return at + end + HEAD_END.length - before;
  }

  #parseHead(head: Buffer): void {
    const [first = "", ...lines] = head.toString("latin1").split("\r\n");
    const parts = STATUS_LINE.exec(first);
    if (parts === null) throw notHttp(head);
    const status = Number(parts[2]);
    if (status === 101) throw new BadAnswer("switched to another protocol, which nobody asked for (status 101)");
    // Interim answers have no body, and the answer follows them (RFC 9110, section 15.2).
    if (status < 200) return;
    const fields = lines.map(field);
    this.#frame(status, parts[1] === "1", fields);
    const dropped = new Set(listOf(fields, "connection"));
    if (this.#framing === "chunks") dropped.add("content-length");
    const headers = fields.filter(([name]) => !HOP_BY_HOP.has(name) && !dropped.has(name));
    this.#taker.head({ status, reason: parts[3] ?? "", headers });
    if (this.#framing === "chunks") this.#state = "chunk size";
    else this.#state = this.#framing === "length" && this.#missing === 0 ? "done" : "body";
  }

  /** How the body ends, and whether the connection goes on (RFC 9112, sections 6.3 and 9.3). */
  #frame(status: number, isNew: boolean, fields: HeaderPairs): void {
    const options = listOf(fields, "connection");
    this.#keepsAlive = isNew && !options.includes("close");
    this.#framing = "length";
    this.#missing = 0;
    if (this.#method === "HEAD" || status === 204 || status === 304) return;
    const codings = listOf(fields, "transfer-encoding");
    if (codings.length > 0) {
      if (codings.length > 1 || codings[0] !== "chunked") {
        throw new BadAnswer(`answered in the transfer coding ${describeValue(codings.join(", "))}, and not in chunks`);
      }
      this.#framing = "chunks";
      return;
    }
    const lengths = new Set(listOf(fields, "content-length"));
    const [length] = lengths;
    if (length === undefined) {
      this.#framing = "close";
      this.#keepsAlive = false;
    } else if (lengths.size > 1 || !LENGTH.test(length)) {
      throw new BadAnswer(`answered with the content-length ${describeValue([...lengths].join(", "))}`);
    } else this.#missing = Number(length);
  }

  #takeBody(bytes: Buffer, at: number): number {
    const end = this.#framing === "close" ? bytes.length : Math.min(bytes.length, at + this.#missing);
    this.#missing -= end - at;
    this.#taker.body(bytes.subarray(at, end));
    if (this.#framing === "close" || this.#missing > 0) return end;
    this.#state = this.#state === "chunk" ? "chunk end" : "done";
    return end;
  }

  #takeLine(bytes: Buffer, at: number): number {
    const before = this.#rest.length;
    const all = before === 0 ? bytes.subarray(at) : concat([this.#rest, bytes.subarray(at)]);
    const end = all.indexOf(LINE_END, Math.max(0, before - 1));
    if ((end === -1 ? all.length : end) > MAX_LINE_BYTES) throw badChunk(all);
    if (end === -1) {
      this.#rest = all;
      return bytes.length;
    }
    this.#rest = EMPTY;
    this.#hearLine(all.toString("latin1", 0, end));
    return at + end + LINE_END.length - before;
  }

  #hearLine(line: string): void {
    if (this.#state === "chunk end") {
      if (line !== "") throw badChunk(from(line));
      this.#state = "chunk size";
    } else if (this.#state === "chunk size") {
      const size = CHUNK_SIZE.exec(line)?.[1];
      if (size === undefined) throw badChunk(from(line));
      this.#missing = Number.parseInt(size, 16);
      this.#state = this.#missing === 0 ? "trailers" : "chunk";
    } else if (line === "") this.#state = "done";
    // Trailers end here: replies have none.
  }
}

/** @throws BadAnswer for a line that is no field; one that continues another is none any more */
function field(line: string): HeaderPairs[number] {
  const colon = line.indexOf(":");
  const name = line.slice(0, colon).toLowerCase();
  if (colon < 1 || /[^!-~]/.test(name)) {
    throw new BadAnswer(`answered with the header line ${describeValue(line.slice(0, MOST_SHOWN))}`);
  }
  return [name, line.slice(colon + 1).trim()];
}

/** The items of all fields of a name, in lower case. */
function listOf(fields: HeaderPairs, name: string): string[] {
  const items: string[] = [];
  for (const [given, value] of fields) {
    if (given === name) items.push(...value.split(",").map((item) => item.trim().toLowerCase()));
  }
  return items;
}

function looksLikeHttp(bytes: Buffer): boolean {
  const begin = "HTTP/1.";
  return begin.startsWith(bytes.toString("latin1", 0, begin.length));
}

function notHttp(bytes: Buffer): BadAnswer {
  return new BadAnswer(
    `answered with something that is not HTTP/1.1, and begins with ${describeValue(bytes.toString("latin1", 0, MOST_SHOWN))}`,
  );
}

function badChunk(bytes: Buffer): BadAnswer {
  return new BadAnswer(
    `answered in chunks of which one begins with ${describeValue(bytes.toString("latin1", 0, MOST_SHOWN))}`,
  );
}
