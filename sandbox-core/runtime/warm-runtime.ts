/**
 * Warms the runtime itself: functions of each kind are loaded and called in this process, with
 * nobody at the wire.
 */
import {
  DEFAULT_RUNTIME_LIMITS,
  decodeSandboxMessage,
  decodeWorkerMessage,
  encodeBody,
  encodeBodyEnd,
  encodeLoad,
  encodeRequest,
  FrameReader,
  type SandboxMessage,
  type WorkerMessage,
} from "../protocol/frames.ts";
import { captureConsole, LineStream } from "./console.ts";
import { installFetchObjects } from "./fetch/globals.ts";
import { Runtime } from "./runtime.ts";
import type { Outlet } from "./wire.ts";

/**
 * Calls of each kind: enough for V8 to compile the path with its baseline compiler and collect
 * types for the next.
 */
const CALLS = 300;

const FETCH_FUNCTION = `
  import { createHash } from "node:crypto";
  export default {
    async fetch(request, env, ctx) {
      ctx.waitUntil(Promise.resolve());
      const url = new URL(request.url);
      if (request.method === "POST") return Response.json(await request.json());
      if (url.searchParams.has("stream")) return new Response(new Blob(["a"]).stream());
      return new Response(request.headers.get("host") + createHash("sha256").update("a").digest("hex"));
    },
  };`;
const LAMBDA_FUNCTION = `
  export const handler = async (event, context) => event.body === undefined
    ? { statusCode: 200, cookies: ["a=b"], body: event.rawPath }
    : { remaining: context.getRemainingTimeInMillis(), given: JSON.parse(event.body) };`;
const NODE_FUNCTION = `
  export default async (req, res) => {
    if (req.method === "POST") return res.status(200).json(req.body);
    if (req.query.stream === undefined) return res.end(req.headers.host);
    res.write("a");
    await new Promise(setImmediate);
    res.end("b");
  };`;

/**
 * Of global state it touches the classes that functions make; those it loads log nothing, their
 * environment goes nowhere.
 */
export async function warmRuntime(): Promise<void> {
  installFetchObjects();
  for (const code of [FETCH_FUNCTION, LAMBDA_FUNCTION, NODE_FUNCTION]) {
    const outlet = new Nobody();
    const runtime = new Runtime(outlet, {
      setEnvironment: () => {},
      flushOutput: () => {},
      becomeTemplate: () => {},
      idle: () => {},
      die: () => {},
    });
    const reader = new FrameReader<WorkerMessage>(decodeWorkerMessage, (message) => runtime.handle(message));
    runtime.ready();
    for (const piece of encodeLoad(LOAD, Buffer.from(code), Buffer.alloc(0))) reader.push(Buffer.from(piece));
    await outlet.next("loaded");
    for (let call = 1; call <= CALLS; call++) {
      for (const frame of requestFrames(call)) reader.push(frame);
      await outlet.next("idle");
    }
    warmOutput(runtime);
  }
}

/**
 * Does to a console and streams that nobody sees what `prepareRuntime` does to those of the
 * process.
 */
function warmOutput(runtime: Runtime): void {
  const stranger = {} as Console;
  captureConsole(stranger, runtime.log, (text) => runtime.mapPositions(text));
  stranger.log("warm", { of: ["a", 1] });
  for (const name of ["stdout", "stderr"] as const) {
    const stream = new LineStream(runtime.log, name, (text) => runtime.mapPositions(text));
    stream.write("warm\n");
    stream.flush();
  }
}

const LOAD = {
  tenant: "main",
  functionName: "warm",
  version: "0".repeat(64),
  entry: "index.ts",
  handler: null,
  kind: null,
  env: {},
  limits: DEFAULT_RUNTIME_LIMITS,
  isolation: "instance",
  memoryMiB: 128,
  timeoutMs: 10_000,
} as const;

/**
 * In turn: no body, a body in the request's own frame, a body in frames of its own, a reply as a
 * stream.
 */
function requestFrames(call: number): Buffer[] {
  const kind = call % 8;
  const json = Buffer.from('{"a":1}');
  const post = kind === 1 || kind === 2;
  const path = kind === 3 ? "/a?stream=1" : "/a?b=c";
  const request = encodeRequest({
    call,
    invocationId: "00000000-0000-4000-8000-000000000000",
    method: post ? "POST" : "GET",
    url: `http://warm.main.localhost:8080${path}`,
    path,
    headers: [
      ["x-forwarded-for", "127.0.0.1"],
      ["host", "warm.main.localhost:8080"],
      ["user-agent", "warm"],
      ["content-type", "application/json"],
    ],
    remoteAddress: "127.0.0.1",
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    tracestate: null,
    bodyFollows: kind === 2,
    body: kind === 1 ? json : Buffer.alloc(0),
  });
  return kind === 2 ? [request, encodeBody(call, json), encodeBodyEnd(call)] : [request];
}

/** The other end of the wire: waits for messages, and takes a failure for what it is. */
class Nobody implements Outlet {
  readonly writable = true;
  readonly #seen: SandboxMessage["type"][] = [];
  #wake: ((type: SandboxMessage["type"]) => void) | null = null;
  readonly #reader = new FrameReader<SandboxMessage>(decodeSandboxMessage, (message) => {
    if (message.type === "failed" || message.type === "load_failed") {
      throw new Error(`Warming the runtime failed: ${message.error.stack || message.error.message}`);
    }
    this.#seen.push(message.type);
    this.#wake?.(message.type);
  });

  send(...frames: readonly Uint8Array[]): void {
    for (const frame of frames) this.#reader.push(frame as Buffer);
  }

  drained(): Promise<void> {
    return Promise.resolve();
  }

  pause(): void {}

  resume(): void {}

  /** Resolves when a message of this type has come since the last one waited for. */
  async next(type: SandboxMessage["type"]): Promise<void> {
    while (!this.#seen.includes(type)) {
      await new Promise((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#seen.length = 0;
  }
}
