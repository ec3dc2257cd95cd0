/**
 * The first message of a TLS connection (RFC 8446, 4.1.2), read for the one thing that it says in
 * clear about where it wants to go. Hostile: whatever two readers could understand in two ways is
 * refused.
 */

/**
 * `more`: the message is not whole yet. `no_tls`: it is no such message, or longer than any that is
 * relayed.
 */
export type HelloReading =
  | { is: "more" }
  | { is: "no_tls" }
  /**
   * `serverName` in lower case, null when it names none; `encrypted` when it has a second hello in
   * it.
   */
  | { is: "hello"; serverName: string | null; encrypted: boolean };

/** Most bytes of the hello, in records that are longer by their headers. */
export const MOST_HELLO_BYTES = 16_384;
const MOST_RECORDS = 64;
/** Most bytes that `readHello` ever needs. */
export const MOST_HELLO_INPUT = MOST_HELLO_BYTES + MOST_RECORDS * 5;

const RECORD_HEADER_BYTES = 5;
const MESSAGE_HEADER_BYTES = 4;
const MOST_RECORD_BYTES = 16_384;
const RECORD_HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const EXTENSION = { SERVER_NAME: 0, ENCRYPTED_HELLO: 0xfe0d, ENCRYPTED_SERVER_NAME: 0xffce } as const;
const NAME_OF_HOST = 0;
const HOST = /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/;
const RANDOM_BYTES = 32;

const MORE = { is: "more" } as const;
const NO_TLS = { is: "no_tls" } as const;

/** Reads the bytes that have come so far. Never throws. */
export function readHello(bytes: Buffer): HelloReading {
  const joined = joinRecords(bytes);
  if (!Buffer.isBuffer(joined)) return joined;
  try {
    return readMessage(new Reader(joined));
  } catch (error) {
    if (error instanceof RangeError) return NO_TLS;
    throw error;
  }
}

/** The whole message out of the records that carry it. */
function joinRecords(bytes: Buffer): Buffer | HelloReading {
  const parts: Buffer[] = [];
  let have = 0;
  for (let at = 0; parts.length < MOST_RECORDS; ) {
    const record = readRecord(bytes.subarray(at));
    if (!("part" in record)) return record;
    parts.push(record.part);
    have += record.part.length;
    const want = lengthOf(parts, have);
    if (want === null || have > want) return NO_TLS;
    if (have === want) return Buffer.concat(parts);
    if (!record.isWhole) return MORE;
    at += RECORD_HEADER_BYTES + record.part.length;
  }
  return NO_TLS;
}

/** The record at the start of the bytes, or as much of its content as there is. */
function readRecord(bytes: Buffer): { part: Buffer; isWhole: boolean } | HelloReading {
  const [kind = RECORD_HANDSHAKE, version = 3] = bytes;
  if (kind !== RECORD_HANDSHAKE || version !== 3) return NO_TLS;
  if (bytes.length < RECORD_HEADER_BYTES) return MORE;
  const length = bytes.readUInt16BE(3);
  if (length === 0 || length > MOST_RECORD_BYTES) return NO_TLS;
  const part = bytes.subarray(RECORD_HEADER_BYTES, RECORD_HEADER_BYTES + length);
  return { part, isWhole: part.length === length };
}

/** The length of the message, infinite while that is not known; null when it is no hello. */
function lengthOf(parts: readonly Buffer[], have: number): number | null {
  if (have < MESSAGE_HEADER_BYTES) return Number.POSITIVE_INFINITY;
  const [first = Buffer.alloc(0)] = parts;
  const head = first.length >= MESSAGE_HEADER_BYTES ? first : Buffer.concat(parts);
  if (head[0] !== CLIENT_HELLO) return null;
  const length = MESSAGE_HEADER_BYTES + head.readUIntBE(1, 3);
  return length > MOST_HELLO_BYTES ? null : length;
}

/** @throws RangeError when it ends early, or has something behind its end */
function readMessage(reader: Reader): HelloReading {
  reader.skip(MESSAGE_HEADER_BYTES + 2 + RANDOM_BYTES);
  reader.vector(1);
  reader.vector(2);
  reader.vector(1);
  const hello: HelloReading = { is: "hello", serverName: null, encrypted: false };
  if (reader.isAtEnd) return hello;
  const extensions = reader.vector(2);
  reader.end();
  const seen = new Set<number>();
  while (!extensions.isAtEnd) {
    const kind = extensions.number(2);
    const data = extensions.vector(2);
    if (seen.has(kind)) return NO_TLS;
    seen.add(kind);
    if (kind === EXTENSION.SERVER_NAME) hello.serverName = readServerName(data);
    if (kind === EXTENSION.ENCRYPTED_HELLO || kind === EXTENSION.ENCRYPTED_SERVER_NAME) hello.encrypted = true;
  }
  return hello;
}

/** The one name in the extension. @throws RangeError unless there is exactly one host's */
function readServerName(data: Reader): string {
  const list = data.vector(2);
  data.end();
  if (list.number(1) !== NAME_OF_HOST) throw new RangeError("a kind of name that nobody knows");
  const name = list.vector(2).text().toLowerCase();
  list.end();
  if (name.length > 253 || !HOST.test(name)) throw new RangeError("not the name of a host");
  return name;
}

/** Reads numbers and vectors (RFC 8446, 3.4) in order; throws RangeError at the end. */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  skip(count: number): void {
    this.#take(count);
  }

  number(size: number): number {
    return this.#take(size).readUIntBE(0, size);
  }

  /** A vector whose length is a number of `size` bytes. */
  vector(size: number): Reader {
    return new Reader(this.#take(this.number(size)));
  }

  text(): string {
    return this.#bytes.toString("latin1");
  }

  end(): void {
    if (!this.isAtEnd) throw new RangeError("bytes behind the end");
  }

  #take(count: number): Buffer {
    const end = this.#at + count;
    if (end > this.#bytes.length) throw new RangeError("an early end");
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }
}
