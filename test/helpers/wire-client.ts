/** The worker's end of a runtime's wire, for tests. */
import type { Duplex } from "node:stream";
import * as frames from "../../sandbox-core/protocol/frames.ts";
import { stretched } from "./slowness.ts";

type Message = frames.SandboxMessage;
type MessageOf<Type extends Message["type"]> = Extract<Message, { type: Type }>;

export interface LoadOptions {
  env?: Record<string, string>;
  caCertificate?: string | undefined;
  limits?: Partial<frames.RuntimeLimits>;
  timeoutMs?: number;
  sourceMap?: string;
  isolation?: frames.Isolation;
  handler?: string;
  kind?: frames.HandlerKind;
}

export interface CallOptions {
  method?: string;
  path?: string;
  url?: string;
  headers?: frames.HeaderPairs;
  body?: string | Uint8Array;
  bodyFollows?: boolean;
  traceparent?: string;
  isEvent?: boolean;
}

/** A whole reply, as the frames gave it. */
export interface CallResult {
  call: number;
  head: frames.Head | null;
  failed: frames.Failure | null;
  endError: frames.Failure | null;
  body: Buffer;
  /** Frames of the reply, logs not counted. */
  replyFrames: string[];
}

export class WireClient {
  readonly wire: Duplex;
  /** Everything that came and was not waited for. */
  readonly messages: Message[] = [];
  readonly logs: frames.Log[] = [];
  /** What the other end said on its way out, for the message of a failure. */
  lastWords = "";
  #calls = 0;
  #gone = false;
  #wake = Promise.withResolvers<void>();

  /** `gone` settles when nothing more can come. */
  constructor(wire: Duplex, gone: Promise<unknown>) {
    this.wire = wire;
    const reader = new frames.FrameReader(frames.decodeSandboxMessage, (message) => this.#take(message));
    this.wire.on("data", (chunk: Buffer) => reader.push(chunk));
    this.wire.on("error", () => {});
    void gone.then(() => {
      this.#gone = true;
      this.#wake.resolve();
    });
  }

  async load(code: string, options: LoadOptions = {}): Promise<MessageOf<"loaded"> | MessageOf<"load_failed">> {
    const load = {
      tenant: "main",
      functionName: "hello",
      version: "f".repeat(64),
      entry: "index.ts",
      handler: options.handler ?? null,
      kind: options.kind ?? null,
      env: options.env ?? {},
      ...(options.caCertificate !== undefined && { caCertificate: options.caCertificate }),
      limits: { ...frames.DEFAULT_RUNTIME_LIMITS, ...options.limits },
      isolation: options.isolation ?? ("instance" as const),
      memoryMiB: 128,
      timeoutMs: options.timeoutMs ?? stretched(10_000),
    };
    for (const piece of frames.encodeLoad(load, Buffer.from(code), Buffer.from(options.sourceMap ?? ""))) {
      this.wire.write(piece);
    }
    return this.next("loaded", "load_failed");
  }

  /** Sends a request and returns its call number. */
  request(options: CallOptions = {}): number {
    const call = ++this.#calls;
    const path = options.path ?? "/";
    this.wire.write(
      frames.encodeRequest({
        call,
        invocationId: "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        method: options.method ?? "GET",
        url: options.url ?? `http://localhost:8080/fn/main/hello${path}`,
        path,
        headers: options.headers ?? [],
        remoteAddress: "192.0.2.1",
        traceparent: options.traceparent ?? null,
        tracestate: null,
        ...(options.isEvent && { isEvent: true }),
        bodyFollows: options.bodyFollows ?? false,
        body: Buffer.from(options.body ?? ""),
      }),
    );
    return call;
  }

  /**
   * Has all that `send` writes reach the other end in one piece, so that none of it is read before
   * the rest is there.
   */
  together<Sent>(send: () => Sent): Sent {
    this.wire.cork();
    try {
      return send();
    } finally {
      this.wire.uncork();
    }
  }

  /** Waits for a reply and all of its body. */
  async reply(call: number): Promise<CallResult> {
    const first = await this.next("head", "failed");
    const result: CallResult = {
      call,
      head: null,
      failed: null,
      endError: null,
      body: Buffer.alloc(0),
      replyFrames: [],
    };
    result.replyFrames.push(first.type);
    if (first.type === "failed") return { ...result, failed: first.error };
    result.head = first;
    const pieces = [Buffer.from(first.body)];
    for (let done = first.last; !done; ) {
      const more = await this.next("chunk", "end");
      result.replyFrames.push(more.type);
      if (more.type === "chunk") pieces.push(Buffer.from(more.bytes));
      else {
        result.endError = more.error;
        done = true;
      }
    }
    return { ...result, body: Buffer.concat(pieces) };
  }

  /** A whole call, until the instance is idle again. */
  async call(options: CallOptions = {}): Promise<CallResult> {
    const result = await this.reply(this.request(options));
    await this.next("idle");
    return result;
  }

  /** The text of the reply; throws when there is none. */
  async text(options: CallOptions = {}): Promise<string> {
    const { body, failed } = await this.call(options);
    if (failed !== null) throw new Error(`${failed.message}\n${failed.stack}`);
    return body.toString();
  }

  /** The next message of one of these types. Logs are never waited for this way: see `logs`. */
  async next<Type extends Message["type"]>(...types: Type[]): Promise<MessageOf<Type>> {
    for (;;) {
      const index = this.messages.findIndex(({ type }) => types.includes(type as Type));
      if (index >= 0) return this.messages.splice(index, 1)[0] as MessageOf<Type>;
      if (this.#gone)
        throw new Error(`The runtime is gone, and no ${types} came. ${this.lastWords}${this.logs.at(-1)?.text ?? ""}`);
      await this.#wake.promise;
    }
  }

  #take(message: Message): void {
    if (message.type === "log") this.logs.push(message);
    else this.messages.push(message);
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }
}
