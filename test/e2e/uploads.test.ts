/** Large bodies on their way from a client into a sandbox, which pass while they arrive. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { after, before, describe, it } from "node:test";
import type { ErrorBody } from "../../functions/model/errors.ts";
import { eventually } from "../helpers/eventually.ts";
import { Platform } from "../helpers/platform.ts";

const MIB = 1024 * 1024;
const PIECE = Buffer.alloc(MIB, "sandpiper ");
/** More than the sandbox may have; the services' memory has its size after so much. */
const PIECES = 200;

let platform: Platform;
let url: string;
before(async () => {
  platform = await Platform.start({ env: { SANDPIPER_MAX_BODY_BYTES: String(1024 * MIB) } });
  url = await platform.deployFiles(
    "count",
    `
    let held = null;
    export default async (request: Request) => {
      const path = new URL(request.url).pathname;
      if (path.endsWith("/warm")) return new Response("warm");
      if (path.endsWith("/early")) return new Response("early");
      let bytes = 0;
      for await (const piece of request.body!) {
        bytes += piece.length;
        if (path.endsWith("/exit") && bytes > 1_000_000) process.exit(3);
      }
      return new Response(String(bytes));
    };`,
    { memoryMiB: 64, timeoutMs: 60_000 },
  );
  // The first call has the worker dial.
  await fetch(`${url}/warm`);
});
after(() => platform.stop());

interface Upload {
  body: ClientRequest;
  answer: Promise<IncomingMessage>;
}

/** A request whose body the test sends. */
function upload(path: string): Upload {
  const body = request(`${url}${path}`, { method: "POST" });
  const answer = once(body, "response").then(([response]) => response as IncomingMessage);
  answer.catch(() => {});
  return { body, answer };
}

/** The most memory that a process has had, in bytes. */
function peakOf(pid: number): number {
  const kib = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kib) * 1024;
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of answer) pieces.push(piece as Buffer);
  return String(Buffer.concat(pieces));
}

/** Sends so many pieces, or those until an answer comes. */
async function send({ body, answer }: Upload, pieces: number): Promise<void> {
  let isAnswered = false;
  const answered = answer.finally(() => {
    isAnswered = true;
  });
  for (let index = 0; index < pieces && !isAnswered; index++) {
    if (!body.write(PIECE)) await Promise.race([once(body, "drain"), answered]);
  }
}

describe("a large body", () => {
  it("passes through services and sandbox that have room for little of it, and not through Redis", async () => {
    const pids = [...platform.gatewayPids, ...platform.workers.map(({ pid }) => pid as number)];
    const peaks: number[][] = [];
    for (const pieces of [PIECES, 3 * PIECES]) {
      const call = upload("/");
      await send(call, pieces);
      call.body.end();
      assert.equal(await textOf(await call.answer), String(pieces * MIB));
      peaks.push(pids.map(peakOf));
    }
    // One that is three times as long takes no more of them.
    const more = pids.map((_, index) => (peaks[1]?.[index] as number) - (peaks[0]?.[index] as number));
    assert.ok(Math.max(...more) < PIECES * MIB, `the services took ${more} bytes more`);
    const redis = platform.redis.connect();
    assert.deepEqual(await redis.keys("sp:body:*"), []);
    const peak = /used_memory_peak:(\d+)/.exec(await redis.info("memory"))?.[1];
    assert.ok(Number(peak) < (PIECES / 4) * MIB, `Redis took ${peak} bytes`);
  });

  it("is not needed by a function that answers early: client and worker go on", async () => {
    const call = upload("/early");
    await send(call, 4);
    assert.equal(await textOf(await call.answer), "early");
    call.body.end(PIECE);
    assert.equal(await (await fetch(`${url}/`, { method: "POST", body: PIECE })).text(), String(MIB));
  });

  it("whose function exits meanwhile is its function's fault", async () => {
    const call = upload("/exit");
    call.body.on("error", () => {});
    await send(call, 50);
    const error = JSON.parse(await textOf(await call.answer)) as ErrorBody;
    assert.equal(error.error.code, "FUNCTION_EXITED");
    call.body.destroy();
    assert.equal(await (await fetch(`${url}/`, { method: "POST", body: PIECE })).text(), String(MIB));
  });

  it("whose worker dies meanwhile is never given to another", async () => {
    const [first] = platform.workers;
    assert.ok(first !== undefined);
    const call = upload("/");
    await send(call, 4);
    await platform.startWorker();
    await platform.kill(first);
    const error = JSON.parse(await textOf(await call.answer)) as ErrorBody;
    assert.match(error.error.code, /^(WORKER_LOST|BODY_LOST)$/);
    call.body.destroy();
    await eventually(async () => (await fetch(`${url}/warm`)).ok);
    assert.equal(await (await fetch(`${url}/`, { method: "POST", body: PIECE })).text(), String(MIB));
  });
});
