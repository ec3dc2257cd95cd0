/**
 * The whole wire protocol between a worker and the runtime inside a sandbox.
 *
 *     frame   = u32 LE length, u8 type, payload          length counts type and payload, at most MAX_FRAME_BYTES
 *     JSON    = UTF-8
 *
 *     worker -> sandbox                                  payload
 *       0x01 load         the version to load            JSON; then exactly codeBytes of `code`, mapBytes of `map`
 *       0x02 code         a piece of the bundle          bytes
 *       0x03 map          a piece of its source map      bytes
 *       0x04 request      a call                         u32 LE call, u32 LE size of JSON, JSON, first body bytes
 *       0x05 body         a piece of the request's body  u32 LE call, bytes
 *       0x06 body_end     the request's body is complete u32 LE call
 *       0x07 cancel       nobody waits for the answer    u32 LE call
 *       0x08 withdraw     forget the call, if not begun  u32 LE call
 *       0x09 template     become a template, if you can  nothing
 *       0x0a fork         to a template: fork            u32 LE fork; with it go the fork's descriptors (unix(7))
 *       0x0b end_fork     to a template: end that fork   u32 LE fork
 *       0x0c body_lost    the rest of the body is lost   u32 LE call
 *
 *     sandbox -> worker
 *       0x81 ready        blank, waits for `load`        nothing
 *       0x82 loaded       waits for a `request`          JSON; of a fork: it is itself again
 *       0x83 load_failed  the process is of no more use  JSON
 *       0x84 head         status and headers             u32 LE call, u32 LE size of JSON, JSON, first body bytes
 *       0x85 chunk        a piece of the reply's body    u32 LE call, bytes
 *       0x86 end          the reply's body is complete   u32 LE call, JSON
 *       0x87 failed       instead of `head`              u32 LE call, JSON
 *       0x88 log          one record of output           u32 LE call (0: none), u8 level, u8 source, f64 LE time, UTF-8
 *       0x89 idle         the call left nothing running  u32 LE call
 *       0x8a withdrawn    the call was not begun         u32 LE call
 *       0x8b templated    it is a template, or why not   JSON
 *       0x8c ended        of a template: a fork ended    u32 LE fork, JSON
 *       0x8d leaving      the process is going to end    u32 LE last call that it began (0: none)
 *
 * The order, as a well-behaved runtime keeps it: `ready`; after `load` one of `loaded` and
 * `load_failed`; after a `request` either `failed`, or `head` and, unless it says `last`, any
 * number of `chunk` and one `end`. Then `idle`, which may come much later than the reply: work
 * given to `ctx.waitUntil` outlives it. One call runs at a time. A request that comes while one
 * runs and whose body is complete waits in line, at most MAX_CALLS_IN_LINE of them with the one
 * that runs, and is begun after that one's `idle`; a `withdraw` takes it out of the line, which
 * `withdrawn` says, and has no effect on a call that was begun. `log` may come at any time, and is
 * of the call that runs, of the one before it, or of none. A process that is going to end says so
 * in `leaving`, if it still can: calls behind the one that it names have not begun and never will.
 * The two directions share no type, so a reflected frame is refused.
 *
 * A process that has loaded its version and has no call may be asked to become a `template`. The
 * process says in `templated` whether it can be forked. If so, it takes nothing but `fork` and
 * `end_fork` from there on, which are of one length, and answers `end_fork` with `ended` when that
 * fork is gone; with the last of them goes all that they started. A fork begins on its own wire
 * with `loaded`, once it has renewed what is its own, or with `load_failed`. Where each call has a
 * fork of its own, the fork leaves after `idle`.
 *
 * Both ends read with the same state machine and the same checks. For the worker they are a wall:
 * the sandbox is hostile, so every length is checked before it is believed, every field by hand,
 * and a decoded message has the fields of its type and no others. For the runtime they only find
 * mistakes.
 *
 * Built-in functions are captured here once, before any tenant code runs: a tenant that replaces
 * `JSON` confuses nobody.
 */
const { parse, stringify } = JSON;
const { allocUnsafe, allocUnsafeSlow, byteLength } = Buffer;

/** Most bytes of one frame, its length field not counted. */
export const MAX_FRAME_BYTES = 1024 * 1024;
/** Most bytes of the JSON part of a `request` or `head`: what remains of a frame is body. */
export const MAX_HEAD_BYTES = 256 * 1024;
/**
 * Body bytes that always fit one frame, whatever the head: longer bodies take `body` or `chunk`
 * frames.
 */
export const MAX_BODY_BYTES_PER_FRAME = MAX_FRAME_BYTES - MAX_HEAD_BYTES - 64;
export const MAX_CODE_BYTES = 64 * 1024 * 1024;
export const MAX_MAP_BYTES = 128 * 1024 * 1024;
export const MAX_HEADERS = 128;
export const MAX_HEADER_NAME_LENGTH = 256;
export const MAX_HEADER_VALUE_LENGTH = 16 * 1024;
/**
 * Most calls that an instance is given: the one that runs, and those that are sent ahead of their
 * turn.
 */
export const MAX_CALLS_IN_LINE = 16;
/** Most characters of all names and values of one message. */
export const MAX_HEADERS_LENGTH = 64 * 1024;
/** Longest reason phrase. */
export const MAX_STATUS_TEXT_LENGTH = 256;
export const MAX_URL_LENGTH = 32 * 1024;
export const MAX_ENV_VARIABLES = 1024;
/** Most characters of all names and values of the environment. */
export const MAX_ENV_LENGTH = 256 * 1024;
export const MAX_ERROR_NAME_LENGTH = 256;
export const MAX_ERROR_MESSAGE_LENGTH = 16 * 1024;
export const MAX_ERROR_STACK_LENGTH = 32 * 1024;
/** Longest words for what was found to be the handler, and the most and longest remarks on it. */
export const MAX_HANDLER_WORDS_LENGTH = 256;
export const MAX_LOAD_WARNINGS = 16;
export const MAX_LOAD_WARNING_LENGTH = 512;
/** Longest reason why a process cannot be a template. */
export const MAX_NO_TEMPLATE_REASON_LENGTH = 512;
/**
 * Every order to a template has this length: it reads them one by one, as descriptors come with
 * some.
 */
export const TEMPLATE_ORDER_BYTES = 9;
/** Most bytes of the text of one log record. */
export const MAX_LOG_TEXT_BYTES = 16 * 1024;

/**
 * The other side broke the protocol. The connection is of no more use: nothing after this point can
 * be trusted.
 */
export class ProtocolError extends Error {
  override name = "ProtocolError";
}

/**
 * Header fields as raw pairs, in order; several fields of one name stay several. Names are lower
 * case.
 */
export type HeaderPairs = [name: string, value: string][];

/** Numbers a call on its wire: 1 to 2^32 - 1, chosen by the worker. 0 is no call. */
export type CallNumber = number;

/** Limits that the runtime keeps to; the worker enforces its own, whatever happens here. */
export interface RuntimeLimits {
  /** Most log records of one invocation. */
  logRecords: number;
  /** Most bytes of log text of one invocation. */
  logBytes: number;
}

export const DEFAULT_RUNTIME_LIMITS: RuntimeLimits = { logRecords: 1_000, logBytes: 256 * 1024 };

/**
 * The traces of earlier calls that a call may find: whatever they left in their instance, or
 * nothing at all.
 */
export const ISOLATIONS = ["instance", "invocation"] as const;
export type Isolation = (typeof ISOLATIONS)[number];

/**
 * Ways to call a handler: with a Request, an event of AWS Lambda in one of two formats, Node's
 * request and response, a CloudEvent, or a request over loopback to a server that listens.
 */
export const HANDLER_KINDS = ["fetch", "lambda", "lambda-1.0", "node", "cloudevent", "server"] as const;
export type HandlerKind = (typeof HANDLER_KINDS)[number];

/**
 * First words of a bundle that is a CommonJS module; any other is an ES module. A bundle says this
 * itself, so that what was bundled by an older Sandpiper stays what it was.
 */
export const COMMONJS_MARK = "/* sandpiper: CommonJS */";

/** The version that an instance is to load. */
export interface Load {
  type: "load";
  tenant: string;
  functionName: string;
  version: string;
  /** Path of the entry file, for messages. */
  entry: string;
  /** Name of the export that is the handler; null: found by what the module exports. */
  handler: string | null;
  /** How the handler is called; null: told from the handler. */
  kind: HandlerKind | null;
  env: Record<string, string>;
  /** A certificate, as PEM, that TLS of the function is to trust as an issuer's. */
  caCertificate?: string;
  limits: RuntimeLimits;
  isolation: Isolation;
  memoryMiB: number;
  timeoutMs: number;
  codeBytes: number;
  mapBytes: number;
}

/** A call. */
export interface Request {
  type: "request";
  call: CallNumber;
  /** UUID of the invocation. */
  invocationId: string;
  method: string;
  /** Absolute, as the client saw it. */
  url: string;
  /** The part below the function's URL, with the query. Always starts with "/". */
  path: string;
  headers: HeaderPairs;
  remoteAddress: string;
  traceparent: string | null;
  tracestate: string | null;
  /** true: the body is an event for the function itself, and the rest says nothing. */
  isEvent?: boolean;
  /** true: the rest of the body comes as `body` frames and one `body_end` or `body_lost`. */
  bodyFollows: boolean;
  /** The first bytes of the body, or all of them. A view into what was pushed. */
  body: Uint8Array;
}

/**
 * The failure, as far as a thrown value could be described. Text of the tenant's: escape it before
 * showing it.
 */
export interface Failure {
  name: string;
  message: string;
  /** The stack by the tenant's own files and lines, or empty. */
  stack: string;
}

/** Findings of loading a version. Text of the tenant's: escape it before showing it. */
export interface Found {
  /** The handler in words: "fetch", "lambda (hello)". */
  handler: string;
  /** What the module has and will not get here, a sentence each. */
  warnings: string[];
}

export type WorkerMessage =
  | Load
  | { type: "code"; bytes: Uint8Array }
  | { type: "map"; bytes: Uint8Array }
  | Request
  | { type: "body"; call: CallNumber; bytes: Uint8Array }
  | { type: "body_end"; call: CallNumber }
  | { type: "body_lost"; call: CallNumber }
  | { type: "cancel"; call: CallNumber }
  | { type: "withdraw"; call: CallNumber }
  | { type: "template" };

/** An order to a template, about one of its forks, which the worker numbers from 1. */
export interface TemplateOrder {
  order: "fork" | "end";
  fork: number;
}

/** The start of a reply. */
export interface Head {
  type: "head";
  call: CallNumber;
  status: number;
  /** The reason phrase that the function gave, if it gave one. */
  statusText?: string;
  headers: HeaderPairs;
  /** true: the function is still producing the body, pass on what is there. */
  streaming: boolean;
  /** true: `body` is all of it; no `chunk` and no `end` follow. */
  last: boolean;
  /** The first bytes of the body, or all of them. A view into what was pushed. */
  body: Uint8Array;
}

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
/**
 * "platform" is missing on purpose: a sandbox cannot speak for Sandpiper. "network" is no line of a
 * log but the message of a connection's error, which the worker may have something to say to.
 */
export const LOG_SOURCES = ["console", "stdout", "stderr", "network"] as const;
/** Most records of "network" between one call's beginning and the next. */
export const MAX_NETWORK_NOTES = 8;
export type LogSource = (typeof LOG_SOURCES)[number];

export interface Log {
  type: "log";
  /** null: written while no call was running, and by none that ran just before. */
  call: CallNumber | null;
  level: LogLevel;
  source: LogSource;
  timeMs: number;
  text: string;
}

export type SandboxMessage =
  | { type: "ready" }
  /** `found` is null in a fork, which finds nothing anew. */
  | { type: "loaded"; initMs: number; found: Found | null }
  | { type: "load_failed"; error: Failure }
  | Head
  | { type: "chunk"; call: CallNumber; bytes: Uint8Array }
  /** `error` is set when the body broke off. */
  | { type: "end"; call: CallNumber; error: Failure | null }
  | { type: "failed"; call: CallNumber; error: Failure }
  | Log
  | { type: "idle"; call: CallNumber }
  | { type: "withdrawn"; call: CallNumber }
  /** `noTemplateReason` is why it cannot be forked, and is no template; null when it is one. */
  | { type: "templated"; noTemplateReason: string | null }
  /** How a fork ended, as waitpid(2) tells it: one of the two is null. */
  | { type: "ended"; fork: number; code: number | null; signal: number | null }
  /** No call after this one has begun, or will; 0 when none has. */
  | { type: "leaving"; lastBegun: CallNumber | 0 };

const TYPE = {
  load: 0x01,
  code: 0x02,
  map: 0x03,
  request: 0x04,
  body: 0x05,
  body_end: 0x06,
  cancel: 0x07,
  withdraw: 0x08,
  template: 0x09,
  fork: 0x0a,
  end_fork: 0x0b,
  body_lost: 0x0c,
  ready: 0x81,
  loaded: 0x82,
  load_failed: 0x83,
  head: 0x84,
  chunk: 0x85,
  end: 0x86,
  failed: 0x87,
  log: 0x88,
  idle: 0x89,
  withdrawn: 0x8a,
  templated: 0x8b,
  ended: 0x8c,
  leaving: 0x8d,
} as const;

// ----------------------------------------------------------------------------------------------------------
// reading

/** Frames that hold a call and bytes, of which each part is a message as good as the whole. */
const PIECES: ReadonlySet<number> = new Set([TYPE.body, TYPE.chunk]);
/** Their type and call. */
const PIECE_HEAD_BYTES = 5;

/**
 * Cuts a stream of bytes into frames and decodes them. Holds at most one incomplete frame, and none
 * of a body.
 *
 * Byte fields of a message may be views into the chunk that was pushed: whoever keeps them for long
 * copies them.
 */
export class FrameReader<Message> {
  readonly #decode: (type: number, payload: Buffer) => Message;
  readonly #onMessage: (message: Message) => void;
  readonly #length = allocUnsafeSlow(4);
  #lengthBytes = 0;
  #partial: Buffer | null = null;
  #partialBytes = 0;
  /** A piece of a body of which more bytes are to come. */
  #piece: { message: Message; left: number } | null = null;
  #error: ProtocolError | null = null;

  /**
   * `decode` is decodeSandboxMessage at the worker's end and decodeWorkerMessage at the runtime's.
   * `onMessage` must not throw.
   */
  constructor(decode: (type: number, payload: Buffer) => Message, onMessage: (message: Message) => void) {
    this.#decode = decode;
    this.#onMessage = onMessage;
  }

  /**
   * Takes the next bytes and hands every message that they complete to `onMessage`, in order; of a
   * piece of a body, what has come of it, as a message of its own.
   * @throws ProtocolError at the first frame that is not right, and ever after; messages before it
   * were handed over.
   */
  push(chunk: Buffer): void {
    if (this.#error !== null) throw this.#error;
    for (let at = 0; at < chunk.length; ) at = this.#take(chunk, at);
  }

  /** Takes a length, a whole frame or a piece of one; returns where it ended. */
  #take(chunk: Buffer, start: number): number {
    let at = start;
    if (this.#piece !== null) return this.#takeOfPiece(this.#piece, chunk, at);
    if (this.#partial === null) {
      while (this.#lengthBytes < 4 && at < chunk.length) this.#length[this.#lengthBytes++] = chunk[at++] as number;
      if (this.#lengthBytes < 4) return at;
      this.#lengthBytes = 0;
      const length = this.#length.readUInt32LE(0);
      if (length === 0 || length > MAX_FRAME_BYTES) {
        this.#fail(new ProtocolError(`A frame of ${length} bytes: 1 to ${MAX_FRAME_BYTES} are allowed.`));
      }
      return this.#takeFrame(chunk, at, length);
    }
    return this.#takeOfPartial(this.#partial, chunk, at);
  }

  /** Takes a frame, or what has come of it. */
  #takeFrame(chunk: Buffer, at: number, length: number): number {
    const here = Math.min(length, chunk.length - at);
    const isPiece = here >= PIECE_HEAD_BYTES && PIECES.has(chunk[at] as number);
    if (here === length || isPiece) {
      const message = this.#deliver(chunk.subarray(at, at + here));
      if (here < length) this.#piece = { message, left: length - here };
      return at + here;
    }
    this.#partial = allocUnsafeSlow(length);
    this.#partialBytes = 0;
    return this.#takeOfPartial(this.#partial, chunk, at);
  }

  #takeOfPartial(frame: Buffer, chunk: Buffer, at: number): number {
    const copied = chunk.copy(frame, this.#partialBytes, at);
    this.#partialBytes += copied;
    if (this.#partialBytes === frame.length) {
      this.#partial = null;
      this.#deliver(frame);
    }
    return at + copied;
  }

  #takeOfPiece(piece: { message: Message; left: number }, chunk: Buffer, at: number): number {
    const bytes = chunk.subarray(at, at + piece.left);
    piece.left -= bytes.length;
    if (piece.left === 0) this.#piece = null;
    this.#onMessage({ ...piece.message, bytes });
    return at + bytes.length;
  }

  #deliver(frame: Buffer): Message {
    let message: Message;
    try {
      message = this.#decode(frame[0] as number, frame.subarray(1));
    } catch (error) {
      this.#fail(error);
    }
    this.#onMessage(message);
    return message;
  }

  #fail(error: unknown): never {
    this.#error =
      error instanceof ProtocolError ? error : new ProtocolError("A frame that cannot be decoded.", { cause: error });
    throw this.#error;
  }
}

/**
 * Decodes a frame that a sandbox sent.
 * @throws ProtocolError for anything that is not exactly one of the messages above.
 */
export function decodeSandboxMessage(type: number, payload: Buffer): SandboxMessage {
  switch (type) {
    case TYPE.ready:
      return exact(payload, 0, { type: "ready" });
    case TYPE.loaded:
      return decodeLoaded(object(payload));
    case TYPE.load_failed:
      return { type: "load_failed", error: failure(object(payload)) };
    case TYPE.head:
      return decodeHead(payload);
    case TYPE.chunk:
      return { type: "chunk", call: callNumber(payload), bytes: payload.subarray(4) };
    case TYPE.end:
      return decodeEnd(payload);
    case TYPE.failed:
      return { type: "failed", call: callNumber(payload), error: failure(object(payload.subarray(4))) };
    case TYPE.log:
      return decodeLog(payload);
    case TYPE.idle:
      return exact(payload, 4, { type: "idle", call: callNumber(payload) });
    case TYPE.withdrawn:
      return exact(payload, 4, { type: "withdrawn", call: callNumber(payload) });
    case TYPE.templated:
      return decodeTemplated(object(payload));
    case TYPE.ended:
      return decodeEnded(callNumber(payload), object(payload.subarray(4)));
    case TYPE.leaving:
      if (payload.length !== 4) throw new ProtocolError("A frame that is too long or too short for its type.");
      return { type: "leaving", lastBegun: payload.readUInt32LE(0) };
    default:
      throw new ProtocolError(`A frame of the unknown type ${type}.`);
  }
}

/**
 * Decodes a frame that a worker sent.
 * @throws ProtocolError for anything that is not exactly one of the messages above.
 */
export function decodeWorkerMessage(type: number, payload: Buffer): WorkerMessage {
  switch (type) {
    case TYPE.load:
      return decodeLoad(object(payload));
    case TYPE.code:
      return { type: "code", bytes: payload };
    case TYPE.map:
      return { type: "map", bytes: payload };
    case TYPE.request:
      return decodeRequest(payload);
    case TYPE.body:
      return { type: "body", call: callNumber(payload), bytes: payload.subarray(4) };
    case TYPE.body_end:
      return exact(payload, 4, { type: "body_end", call: callNumber(payload) });
    case TYPE.body_lost:
      return exact(payload, 4, { type: "body_lost", call: callNumber(payload) });
    case TYPE.cancel:
      return exact(payload, 4, { type: "cancel", call: callNumber(payload) });
    case TYPE.withdraw:
      return exact(payload, 4, { type: "withdraw", call: callNumber(payload) });
    case TYPE.template:
      return exact(payload, 0, { type: "template" });
    default:
      throw new ProtocolError(`A frame of the unknown type ${type}.`);
  }
}

const MAX_CERTIFICATE_LENGTH = 8_192;

function decodeLoad(fields: Fields): Load {
  const limits = inner(fields, "limits");
  return {
    type: "load",
    tenant: text(fields, "tenant", 256),
    functionName: text(fields, "functionName", 256),
    version: text(fields, "version", 256),
    entry: text(fields, "entry", 1024),
    handler: fields.handler === null ? null : text(fields, "handler", 128),
    kind: fields.kind === null ? null : oneOf(fields, "kind", HANDLER_KINDS),
    env: environment(inner(fields, "env")),
    ...(fields.caCertificate !== undefined && { caCertificate: text(fields, "caCertificate", MAX_CERTIFICATE_LENGTH) }),
    limits: {
      logRecords: integer(limits, "logRecords", 0, 1_000_000),
      logBytes: integer(limits, "logBytes", 0, 1024 * 1024 * 1024),
    },
    isolation: oneOf(fields, "isolation", ISOLATIONS),
    memoryMiB: integer(fields, "memoryMiB", 1, 1024 * 1024),
    timeoutMs: number(fields, "timeoutMs", 0, Number.MAX_SAFE_INTEGER),
    codeBytes: integer(fields, "codeBytes", 0, MAX_CODE_BYTES),
    mapBytes: integer(fields, "mapBytes", 0, MAX_MAP_BYTES),
  };
}

function decodeRequest(payload: Buffer): Request {
  const call = callNumber(payload);
  const bodyAt = headEnd(payload);
  const fields = object(payload.subarray(8, bodyAt));
  const path = text(fields, "path", MAX_URL_LENGTH);
  if (path[0] !== "/") throw wrong("path", "text that starts with '/'");
  const method = text(fields, "method", 32);
  if (!METHOD.test(method)) throw wrong("method", "an HTTP method");
  return {
    type: "request",
    call,
    invocationId: text(fields, "invocationId", 128),
    method,
    url: text(fields, "url", MAX_URL_LENGTH),
    path,
    headers: headerPairs(fields),
    remoteAddress: text(fields, "remoteAddress", 256),
    traceparent: optionalHeaderValue(fields, "traceparent"),
    tracestate: optionalHeaderValue(fields, "tracestate"),
    ...(fields.isEvent !== undefined && { isEvent: flag(fields, "isEvent") }),
    bodyFollows: flag(fields, "bodyFollows"),
    body: payload.subarray(bodyAt),
  };
}

function decodeHead(payload: Buffer): Head {
  const call = callNumber(payload);
  const bodyAt = headEnd(payload);
  const fields = object(payload.subarray(8, bodyAt));
  return {
    type: "head",
    call,
    status: integer(fields, "status", 200, 599),
    ...(fields.statusText !== undefined && { statusText: statusText(fields) }),
    headers: headerPairs(fields),
    streaming: flag(fields, "streaming"),
    last: flag(fields, "last"),
    body: payload.subarray(bodyAt),
  };
}

function decodeLoaded(fields: Fields): SandboxMessage {
  const initMs = number(fields, "initMs", 0, Number.MAX_SAFE_INTEGER);
  return { type: "loaded", initMs, found: fields.found === null ? null : found(inner(fields, "found")) };
}

function decodeTemplated(fields: Fields): SandboxMessage {
  const noTemplateReason =
    fields.noTemplateReason === null ? null : text(fields, "noTemplateReason", MAX_NO_TEMPLATE_REASON_LENGTH);
  return { type: "templated", noTemplateReason };
}

function decodeEnded(fork: number, fields: Fields): SandboxMessage {
  const code = fields.code === null ? null : integer(fields, "code", 0, 255);
  const signal = fields.signal === null ? null : integer(fields, "signal", 1, 127);
  if ((code === null) === (signal === null)) throw wrong("code", "given, or else the signal");
  return { type: "ended", fork, code, signal };
}

/**
 * Decodes what a template was sent, all of one order.
 * @throws ProtocolError for anything that is none
 */
export function decodeTemplateOrder(bytes: Buffer): TemplateOrder {
  const type = bytes[4];
  if (bytes.length !== TEMPLATE_ORDER_BYTES || bytes.readUInt32LE(0) !== TEMPLATE_ORDER_BYTES - 4)
    throw new ProtocolError("A template was sent something of another length than its orders.");
  const fork = callNumber(bytes.subarray(5));
  if (type === TYPE.fork) return { order: "fork", fork };
  if (type === TYPE.end_fork) return { order: "end", fork };
  throw new ProtocolError(`A template was sent a frame of the type ${type}.`);
}

function decodeEnd(payload: Buffer): SandboxMessage {
  const call = callNumber(payload);
  const fields = object(payload.subarray(4));
  return { type: "end", call, error: fields.error === null ? null : failure(inner(fields, "error")) };
}

function decodeLog(payload: Buffer): Log {
  if (payload.length < LOG_HEAD_BYTES) throw new ProtocolError("A log frame that is too short.");
  if (payload.length - LOG_HEAD_BYTES > MAX_LOG_TEXT_BYTES) {
    throw new ProtocolError(`A log record of more than ${MAX_LOG_TEXT_BYTES} bytes.`);
  }
  const call = payload.readUInt32LE(0);
  const level = LOG_LEVELS[payload[4] as number];
  const source = LOG_SOURCES[payload[5] as number];
  const timeMs = payload.readDoubleLE(6);
  if (level === undefined) throw wrong("level", "one of the levels");
  if (source === undefined) throw wrong("source", "one of the sources");
  // The largest time that a Date can hold (ECMA-262, Time Values): toISOString of more would throw
  // far from here.
  if (!(timeMs >= 0 && timeMs <= 8.64e15)) throw wrong("timeMs", "a time");
  return {
    type: "log",
    call: call === 0 ? null : call,
    level,
    source,
    timeMs,
    text: payload.toString("utf8", LOG_HEAD_BYTES),
  };
}

// ----------------------------------------------------------------------------------------- checks,
// one kind of field each

type Fields = Record<string, unknown>;

const LOG_HEAD_BYTES = 14;
/** RFC 9110 section 5.6.2: a token, of which a header name here may use lower case only. */
const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
/** RFC 9110 section 5.5: visible characters, blanks and obs-text; above all no CR, LF and NUL. */
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

function wrong(field: string, expected: string): ProtocolError {
  return new ProtocolError(`The field ${field} is not ${expected}.`);
}

/** The same message, if the payload has exactly so many bytes. */
function exact<Message>(payload: Buffer, bytes: number, message: Message): Message {
  if (payload.length !== bytes) throw new ProtocolError("A frame that is too long or too short for its type.");
  return message;
}

function callNumber(payload: Buffer): CallNumber {
  if (payload.length < 4) throw new ProtocolError("A frame that is too short for its call number.");
  const call = payload.readUInt32LE(0);
  if (call === 0) throw wrong("call", "the number of a call");
  return call;
}

/** Where the JSON of a `request` or `head` ends and the body starts. */
function headEnd(payload: Buffer): number {
  if (payload.length < 8) throw new ProtocolError("A frame that is too short for its head.");
  const bytes = payload.readUInt32LE(4);
  if (bytes > MAX_HEAD_BYTES || bytes > payload.length - 8) throw new ProtocolError(`A head of ${bytes} bytes.`);
  return 8 + bytes;
}

/**
 * JSON.parse makes a key "__proto__" a field like any other, and only fields known by name are read
 * from the result.
 */
function object(bytes: Buffer): Fields {
  let value: unknown;
  try {
    value = parse(bytes.toString("utf8"));
  } catch (error) {
    throw new ProtocolError("A head that is not JSON.", { cause: error });
  }
  return fieldsOf(value, "head");
}

function fieldsOf(value: unknown, field: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(field, "an object");
  return value as Fields;
}

function inner(fields: Fields, field: string): Fields {
  return fieldsOf(fields[field], field);
}

function text(fields: Fields, field: string, maxLength: number): string {
  const value = fields[field];
  if (typeof value !== "string" || value.length > maxLength) throw wrong(field, `text of at most ${maxLength}`);
  return value;
}

function flag(fields: Fields, field: string): boolean {
  const value = fields[field];
  if (typeof value !== "boolean") throw wrong(field, "true or false");
  return value;
}

function number(fields: Fields, field: string, min: number, max: number): number {
  const value = fields[field];
  if (typeof value !== "number" || !(value >= min && value <= max)) throw wrong(field, `from ${min} to ${max}`);
  return value;
}

function integer(fields: Fields, field: string, min: number, max: number): number {
  const value = number(fields, field, min, max);
  if (!Number.isInteger(value)) throw wrong(field, "a whole number");
  return value;
}

function oneOf<Value extends string>(fields: Fields, field: string, values: readonly Value[]): Value {
  const value = values.find((known) => known === fields[field]);
  if (value === undefined) throw wrong(field, `one of ${values.join(", ")}`);
  return value;
}

function optionalHeaderValue(fields: Fields, field: string): string | null {
  if (fields[field] === null) return null;
  const value = text(fields, field, 1024);
  if (!HEADER_VALUE.test(value)) throw wrong(field, "a header value");
  return value;
}

function statusText(fields: Fields): string {
  if (!isStatusText(fields.statusText)) throw wrong("statusText", "a reason phrase");
  return fields.statusText;
}

/** Whether it may be a reason phrase here. */
export function isStatusText(value: unknown): value is string {
  return typeof value === "string" && value.length <= MAX_STATUS_TEXT_LENGTH && HEADER_VALUE.test(value);
}

function headerPairs(fields: Fields): HeaderPairs {
  const given = fields.headers;
  if (!Array.isArray(given) || given.length > MAX_HEADERS) throw wrong("headers", `at most ${MAX_HEADERS} pairs`);
  let length = 0;
  for (let index = 0; index < given.length; index++) {
    const pair = given[index];
    if (!Array.isArray(pair) || pair.length !== 2) throw wrong(`headers[${index}]`, "a name and a value");
    if (!isHeaderName(pair[0])) throw wrong(`headers[${index}]`, "named by a lower-case token");
    if (!isHeaderValue(pair[1])) throw wrong(`headers[${index}]`, "a value without control characters");
    length += pair[0].length + pair[1].length;
  }
  if (length > MAX_HEADERS_LENGTH) throw wrong("headers", `at most ${MAX_HEADERS_LENGTH} long in all`);
  return given as HeaderPairs;
}

/** Whether it may be the name of a header field here. */
export function isHeaderName(name: unknown): name is string {
  return typeof name === "string" && name.length <= MAX_HEADER_NAME_LENGTH && HEADER_NAME.test(name);
}

/** Whether it may be the value of a header field here. */
export function isHeaderValue(value: unknown): value is string {
  return typeof value === "string" && value.length <= MAX_HEADER_VALUE_LENGTH && HEADER_VALUE.test(value);
}

function environment(given: Fields): Record<string, string> {
  const entries = Object.entries(given);
  if (entries.length > MAX_ENV_VARIABLES) throw wrong("env", `at most ${MAX_ENV_VARIABLES} variables`);
  let length = 0;
  for (const [name, value] of entries) {
    if (!ENV_NAME.test(name)) throw wrong("env", "named by letters, digits and '_'");
    if (typeof value !== "string" || value.includes("\0")) throw wrong(`env.${name}`, "text without NUL");
    length += name.length + value.length;
  }
  if (length > MAX_ENV_LENGTH) throw wrong("env", `at most ${MAX_ENV_LENGTH} long in all`);
  return given as Record<string, string>;
}

function failure(fields: Fields): Failure {
  return {
    name: text(fields, "name", MAX_ERROR_NAME_LENGTH),
    message: text(fields, "message", MAX_ERROR_MESSAGE_LENGTH),
    stack: text(fields, "stack", MAX_ERROR_STACK_LENGTH),
  };
}

function found(fields: Fields): Found {
  const { warnings } = fields;
  if (!Array.isArray(warnings) || warnings.length > MAX_LOAD_WARNINGS)
    throw wrong("warnings", `at most ${MAX_LOAD_WARNINGS} texts`);
  return {
    handler: text(fields, "handler", MAX_HANDLER_WORDS_LENGTH),
    warnings: warnings.map((warning) => text({ warning }, "warning", MAX_LOAD_WARNING_LENGTH)),
  };
}

// ----------------------------------------------------------------------------------------------------------
// writing

const EMPTY = allocUnsafeSlow(0);

/** Fields that `encodeLoad` adds by itself are left out. */
export type LoadInput = Omit<Load, "type" | "codeBytes" | "mapBytes">;

/**
 * A `load` with all of its code and source map, as buffers to write in this order; the two are not
 * copied.
 * @throws ProtocolError when code, map or environment exceed their limits.
 */
export function encodeLoad(load: LoadInput, code: Uint8Array, sourceMap: Uint8Array): Uint8Array[] {
  const fields: Load = { ...load, type: "load", codeBytes: code.length, mapBytes: sourceMap.length };
  decodeLoad(fields as unknown as Fields);
  return [jsonFrame(TYPE.load, 0, fields), ...pieces(TYPE.code, code), ...pieces(TYPE.map, sourceMap)];
}

/**
 * @throws ProtocolError when head and body do not fit a frame, or a runtime would refuse the
 * headers.
 */
export function encodeRequest(request: Omit<Request, "type">): Buffer {
  const { call, body, ...head } = request;
  headerPairs({ headers: head.headers });
  return headFrame(TYPE.request, call, stringify(head), body);
}

export function encodeBody(call: CallNumber, bytes: Uint8Array): Buffer {
  return callFrame(TYPE.body, call, bytes);
}

/** The same, as buffers to write in this order; many bytes are not copied. */
export function encodeLongBody(call: CallNumber, bytes: Uint8Array): Uint8Array[] {
  return longFrame(TYPE.body, call, bytes);
}

export function encodeBodyEnd(call: CallNumber): Buffer {
  return callFrame(TYPE.body_end, call, EMPTY);
}

/** In place of `body_end`: what came of the body is not all of it. */
export function encodeBodyLost(call: CallNumber): Buffer {
  return callFrame(TYPE.body_lost, call, EMPTY);
}

export function encodeCancel(call: CallNumber): Buffer {
  return callFrame(TYPE.cancel, call, EMPTY);
}

export function encodeWithdraw(call: CallNumber): Buffer {
  return callFrame(TYPE.withdraw, call, EMPTY);
}

export function encodeTemplate(): Buffer {
  return frame(TYPE.template, 0);
}

/** The order as a template reads it, with the fork's descriptors. */
export function encodeFork(fork: number): Buffer {
  return callFrame(TYPE.fork, fork, EMPTY);
}

export function encodeEndFork(fork: number): Buffer {
  return callFrame(TYPE.end_fork, fork, EMPTY);
}

export function encodeReady(): Buffer {
  return frame(TYPE.ready, 0);
}

/** Text beyond the limits is cut, and warnings beyond their number are left out. */
export function encodeLoaded(initMs: number, found: Found | null): Buffer {
  return jsonFrame(TYPE.loaded, 0, { initMs, found: found && cutFound(found) });
}

/** An obstacle beyond its limit is cut. */
export function encodeTemplated(noTemplateReason: string | null): Buffer {
  return jsonFrame(TYPE.templated, 0, {
    noTemplateReason: noTemplateReason === null ? null : cutText(noTemplateReason, MAX_NO_TEMPLATE_REASON_LENGTH),
  });
}

export function encodeEnded(fork: number, end: { code: number | null; signal: number | null }): Buffer {
  return jsonFrame(TYPE.ended, fork, { code: end.code, signal: end.signal });
}

/** Text beyond the limits is cut. */
export function encodeLoadFailed(error: Failure): Buffer {
  return jsonFrame(TYPE.load_failed, 0, cutFailure(error));
}

/**
 * A reason phrase that a worker would refuse is left out: a reply goes without it.
 * @throws ProtocolError when head and body do not fit a frame, or a worker would refuse the
 * headers.
 */
export function encodeHead(head: Omit<Head, "type">): Buffer {
  return headFrame(TYPE.head, head.call, headFields(head), head.body);
}

/**
 * The same, as buffers to write in this order; a long body is not copied.
 * @throws ProtocolError as `encodeHead` does.
 */
export function encodeLongHead(head: Omit<Head, "type">): Uint8Array[] {
  const { body } = head;
  if (body.length <= COPIED_BYTES) return [encodeHead(head)];
  return [headFrame(TYPE.head, head.call, headFields(head), body, 0), body];
}

function headFields({ status, statusText, headers, streaming, last }: Omit<Head, "type">): string {
  headerPairs({ headers });
  return stringify({ status, ...(isStatusText(statusText) && { statusText }), headers, streaming, last });
}

/** @throws ProtocolError when the bytes do not fit a frame. */
export function encodeChunk(call: CallNumber, bytes: Uint8Array): Buffer {
  return callFrame(TYPE.chunk, call, bytes);
}

/**
 * The same, as buffers to write in this order; many bytes are not copied.
 * @throws ProtocolError when the bytes do not fit a frame.
 */
export function encodeLongChunk(call: CallNumber, bytes: Uint8Array): Uint8Array[] {
  return longFrame(TYPE.chunk, call, bytes);
}

/** Text beyond the limits is cut. */
export function encodeEnd(call: CallNumber, error: Failure | null): Buffer {
  return jsonFrame(TYPE.end, call, { error: error && cutFailure(error) });
}

/** Text beyond the limits is cut. */
export function encodeFailed(call: CallNumber, error: Failure): Buffer {
  return jsonFrame(TYPE.failed, call, cutFailure(error));
}

const CUT_MARK = " … [cut]";
const CUT_MARK_BYTES = byteLength(CUT_MARK);

/** Text of more than MAX_LOG_TEXT_BYTES is cut between two characters, and ends with a mark. */
export function encodeLog(log: Omit<Log, "type">): Buffer {
  // A string has at least as many UTF-8 bytes as UTF-16 units, so a long one need not be measured
  // (or flattened) whole.
  const bytes = log.text.length > MAX_LOG_TEXT_BYTES ? Number.POSITIVE_INFINITY : byteLength(log.text);
  const cut = bytes > MAX_LOG_TEXT_BYTES;
  const out = frame(TYPE.log, LOG_HEAD_BYTES + (cut ? MAX_LOG_TEXT_BYTES : bytes));
  out.writeUInt32LE(log.call ?? 0, 5);
  out[9] = LOG_LEVELS.indexOf(log.level);
  out[10] = LOG_SOURCES.indexOf(log.source);
  out.writeDoubleLE(log.timeMs, 11);
  if (!cut) {
    out.write(log.text, 19);
    return out;
  }
  // Buffer.write never writes a part of a character.
  const room = MAX_LOG_TEXT_BYTES - CUT_MARK_BYTES;
  let end = 19 + out.write(log.text.slice(0, room), 19, room);
  end += out.write(CUT_MARK, end);
  out.writeUInt32LE(end - 4, 0);
  return out.subarray(0, end);
}

export function encodeIdle(call: CallNumber): Buffer {
  return callFrame(TYPE.idle, call, EMPTY);
}

export function encodeWithdrawn(call: CallNumber): Buffer {
  return callFrame(TYPE.withdrawn, call, EMPTY);
}

/** @param lastBegun the last call that was begun; 0 when none was */
export function encodeLeaving(lastBegun: CallNumber | 0): Buffer {
  return callFrame(TYPE.leaving, lastBegun, EMPTY);
}

/** Up to here a copy costs less than one more buffer to write. */
const COPIED_BYTES = 16 * 1024;

/**
 * A frame with its length and type set and `payloadBytes` to fill in, from offset 5; the buffer
 * ends after `heldBytes` of them.
 */
function frame(type: number, payloadBytes: number, heldBytes = payloadBytes): Buffer {
  if (payloadBytes + 1 > MAX_FRAME_BYTES) {
    throw new ProtocolError(`A frame of ${payloadBytes + 1} bytes: 1 to ${MAX_FRAME_BYTES} are allowed.`);
  }
  const out = allocUnsafe(5 + heldBytes);
  out.writeUInt32LE(payloadBytes + 1, 0);
  out[4] = type;
  return out;
}

function callFrame(type: number, call: CallNumber, bytes: Uint8Array): Buffer {
  const out = frame(type, 4 + bytes.length);
  out.writeUInt32LE(call, 5);
  out.set(bytes, 9);
  return out;
}

/** A frame and the bytes behind it. */
function longFrame(type: number, call: CallNumber, bytes: Uint8Array): Uint8Array[] {
  if (bytes.length <= COPIED_BYTES) return [callFrame(type, call, bytes)];
  const out = frame(type, 4 + bytes.length, 4);
  out.writeUInt32LE(call, 5);
  return [out, bytes];
}

/** Without a call (0) the payload is the JSON alone. */
function jsonFrame(type: number, call: CallNumber | 0, value: unknown): Buffer {
  const json = stringify(value);
  const jsonAt = call === 0 ? 5 : 9;
  const out = frame(type, jsonAt - 5 + byteLength(json));
  if (call !== 0) out.writeUInt32LE(call, 5);
  out.write(json, jsonAt);
  return out;
}

/** @param copiedBytes how many bytes of the body the buffer holds; the others follow it. */
function headFrame(type: number, call: CallNumber, json: string, body: Uint8Array, copiedBytes = body.length): Buffer {
  const jsonBytes = byteLength(json);
  if (jsonBytes > MAX_HEAD_BYTES) throw new ProtocolError(`A head of ${jsonBytes} bytes.`);
  const out = frame(type, 8 + jsonBytes + body.length, 8 + jsonBytes + copiedBytes);
  out.writeUInt32LE(call, 5);
  out.writeUInt32LE(jsonBytes, 9);
  out.write(json, 13);
  out.set(body.subarray(0, copiedBytes), 13 + jsonBytes);
  return out;
}

/** Frames of one type that carry all bytes, each as a head and a view. */
function pieces(type: number, bytes: Uint8Array): Uint8Array[] {
  const out: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += MAX_FRAME_BYTES - 1) {
    const piece = bytes.subarray(at, at + MAX_FRAME_BYTES - 1);
    const head = allocUnsafe(5);
    head.writeUInt32LE(piece.length + 1, 0);
    head[4] = type;
    out.push(head, piece);
  }
  return out;
}

function cutFailure(error: Failure): Failure {
  return {
    name: cutText(error.name, MAX_ERROR_NAME_LENGTH),
    message: cutText(error.message, MAX_ERROR_MESSAGE_LENGTH),
    stack: cutText(error.stack, MAX_ERROR_STACK_LENGTH),
  };
}

function cutFound({ handler, warnings }: Found): Found {
  return {
    handler: cutText(handler, MAX_HANDLER_WORDS_LENGTH),
    warnings: warnings.slice(0, MAX_LOAD_WARNINGS).map((warning) => cutText(warning, MAX_LOAD_WARNING_LENGTH)),
  };
}

function cutText(value: string, maxLength: number): string {
  return value.length <= maxLength ? value : value.slice(0, maxLength - CUT_MARK.length) + CUT_MARK;
}
