/**
 * Warms a zygote: loads and compiles what functions use, so that each fork inherits it.
 *
 * Nothing here may draw cached randomness (see random.ts), or leave a timer, a socket or any other
 * handle behind: every fork would share it.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { createHash, createHmac, timingSafeEqual, webcrypto } from "node:crypto";
import { EventEmitter, once } from "node:events";
import { createServer, request as httpRequest, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as delay } from "node:timers/promises";
import { inspect, promisify } from "node:util";
import zlib from "node:zlib";
import { warmRuntime } from "./warm-runtime.ts";
import "./main.ts";

declare const WebAssembly: { instantiate(bytes: Uint8Array): Promise<unknown> };

/** A module of eight bytes: the magic number and the version. */
const EMPTY_WASM = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

/**
 * Runs the code paths that functions use, this runtime's own included. Resolves when all of it is
 * over and nothing is left open. Rejects when a part of Node does not work here; nothing is
 * optional.
 */
export async function warm(): Promise<void> {
  warmText();
  warmFetchObjects();
  await (await fetch("data:application/json,{}")).json();
  await warmCrypto();
  await warmZlib();
  await warmStreams();
  await warmHttp();
  await warmTimers();
  await WebAssembly.instantiate(EMPTY_WASM);
  await warmRuntime();
}

function warmText(): void {
  const url = new URL("/a/b?c=d#e", "http://localhost:8080");
  url.searchParams.append("f", "g");
  const bytes = new TextEncoder().encode(`${url.href}ä€𝄞`);
  new TextDecoder().decode(bytes);
  const encoded = Buffer.from(bytes).toString("base64");
  Buffer.from(encoded, "base64url").toString("hex");
  structuredClone(new Map([["a", { b: [1, new Date(0), /c/g, bytes] }]]));
  inspect({ a: { b: [new Map([["c", new Set([1])]])] }, error: new Error("d") });
  JSON.parse(JSON.stringify({ a: [1, "b", null, { c: true }] }));
  new Intl.DateTimeFormat("en-US", { dateStyle: "medium", timeStyle: "short", timeZone: "UTC" }).format(0);
  new Date(0).toLocaleString();
}

/** Not with a FormData body: its boundary is drawn from the cache of crypto.randomInt. */
function warmFetchObjects(): void {
  const headers = new Headers([["content-type", "text/plain"]]);
  headers.append("set-cookie", "a=b");
  headers.getSetCookie();
  new Request("http://localhost/", { method: "POST", headers, body: "a" }).clone();
  new FormData().append("a", new Blob(["b"]));
  new File(["a"], "b");
  const controller = new AbortController();
  AbortSignal.any([controller.signal]).addEventListener("abort", () => {});
  controller.abort();
  performance.mark("a");
  performance.clearMarks("a");
}

async function warmCrypto(): Promise<void> {
  const key = Buffer.alloc(32, 1);
  createHash("sha256").update("a").digest("hex");
  createHmac("sha256", key).update("a").digest("base64");
  timingSafeEqual(key, key);
  const hmac = { name: "HMAC", hash: "SHA-256" };
  const imported = await webcrypto.subtle.importKey("raw", key, hmac, false, ["sign", "verify"]);
  const signature = await webcrypto.subtle.sign("HMAC", imported, key);
  await webcrypto.subtle.verify("HMAC", imported, signature, key);
  await webcrypto.subtle.digest("SHA-256", key);
}

async function warmZlib(): Promise<void> {
  const data = Buffer.alloc(4096, "sandpiper");
  zlib.gunzipSync(zlib.gzipSync(data));
  zlib.brotliDecompressSync(zlib.brotliCompressSync(data));
  const packed = await promisify<Buffer, Buffer>(zlib.gzip)(data);
  await promisify<Buffer, Buffer>(zlib.gunzip)(packed);
  const stream = new Blob([data]).stream().pipeThrough(new CompressionStream("gzip"));
  await new Response(stream.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

async function warmStreams(): Promise<void> {
  const upper = new Transform({
    transform(chunk, _encoding, done) {
      done(null, String(chunk).toUpperCase());
    },
  });
  await pipeline(Readable.from(["a", "b"]), upper, async (pieces) => {
    for await (const _piece of pieces);
  });
  const { readable, writable } = new TransformStream<string, string>();
  await Promise.all([new Response("a").body?.pipeTo(new WritableStream()), writable.getWriter().close()]);
  for await (const _piece of readable);
  const [one, two] = new Response("a").body?.tee() ?? [];
  await Promise.all([new Response(one).text(), new Response(two).bytes()]);
  new ReadableStream({ type: "bytes" });
  new EventEmitter().on("a", () => {}).emit("a");
  new EventTarget().dispatchEvent(new Event("a"));
}

async function warmTimers(): Promise<void> {
  const storage = new AsyncLocalStorage<number>();
  await storage.run(1, () => delay(1));
  await new Promise<void>((resolve) => {
    setImmediate(() => process.nextTick(() => queueMicrotask(resolve)));
  });
}

/**
 * A server and its client, over loopback. Two timers would outlive this and are not started: the
 * server's for the date of the next second, and the clock that fetch keeps for half a second once
 * it connected.
 */
async function warmHttp(): Promise<void> {
  const server = createServer((incoming, outgoing) => {
    outgoing.sendDate = false;
    outgoing.setHeader("connection", "close");
    incoming.on("data", () => {}).on("end", () => outgoing.end("answer"));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  try {
    await callOverHttp(url);
  } finally {
    await closed(server);
  }
}

async function callOverHttp(url: string): Promise<void> {
  const outgoing = httpRequest(url, { method: "POST", agent: false });
  outgoing.end("question");
  const [incoming] = (await once(outgoing, "response")) as [Readable];
  incoming.resume();
  await Promise.all([once(incoming, "end"), once(outgoing, "close")]);
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  server.close();
  await once(server, "close");
}
