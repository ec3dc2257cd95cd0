/**
 * What a sandbox can do with its connection to the worker: frames that are forged, early, late,
 * doubled, cut short and oversized, and descriptors. All of it ends that sandbox alone, as
 * `killed`.
 *
 * Frames that once were worth looking at are in corpus/wire.json; what a run of fast-check finds
 * belongs there, too.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import * as frames from "../../sandbox-core/protocol/frames.ts";
import { canRefuseDescriptors } from "../../sandbox-core/syscall/steps.ts";
import { eventually } from "../helpers/eventually.ts";
import { openTestLauncher } from "../helpers/sandbox-client.ts";
import { stretched } from "../helpers/slowness.ts";
import { type Answered, TestWorker } from "../helpers/worker.ts";
import { plan, runNatively } from "./native/inject.ts";
import { BARE, CALL, lie, mutated, type Prefix, prefix, wellFormedLies } from "./wire/frames.ts";

const MEBIBYTE = 1024 * 1024;
const LIVE_RUNS = 60;

const HEAD = { call: CALL, status: 200, headers: [], streaming: false, last: true, body: new Uint8Array(0) };

interface Entry {
  name: string;
  to: "worker" | "sandbox";
  verdict: "taken" | "refused" | "waited for";
  hex: string;
}

const corpus = JSON.parse(readFileSync(`${import.meta.dirname}/corpus/wire.json`, "utf8")) as Entry[];
const DECODERS = { worker: frames.decodeSandboxMessage, sandbox: frames.decodeWorkerMessage };

/**
 * What an end of the wire makes of these bytes, however they are cut. @throws what is no
 * ProtocolError
 */
function read(to: Entry["to"], bytes: Buffer, pieceBytes = bytes.length): Entry["verdict"] {
  let messages = 0;
  const reader = new frames.FrameReader<object>(DECODERS[to], () => {
    messages += 1;
  });
  try {
    for (let at = 0; at < bytes.length; at += pieceBytes) reader.push(bytes.subarray(at, at + pieceBytes));
  } catch (error) {
    if (error instanceof frames.ProtocolError) return "refused";
    throw error;
  }
  return messages > 0 ? "taken" : "waited for";
}

describe("the readers at both ends", () => {
  for (const { name, to, verdict, hex } of corpus)
    test(`the ${to}'s: ${name} is ${verdict}, however it is cut`, () => {
      const bytes = Buffer.from(hex, "hex");
      for (const pieceBytes of [bytes.length, 1, 3, 7]) assert.equal(read(to, bytes, pieceBytes), verdict);
    });

  for (const to of ["worker", "sandbox"] as const)
    test(`the ${to}'s takes a changed stream or refuses it, and does nothing else`, () => {
      const seeds = corpus.filter((entry) => entry.to === to).map(({ hex }) => Buffer.from(hex, "hex"));
      const check = fc.property(mutated(seeds), fc.integer({ min: 1, max: 50 }), (bytes, pieceBytes) => {
        if (bytes.length > 0) assert.equal(read(to, bytes, pieceBytes) === "refused", read(to, bytes) === "refused");
      });
      fc.assert(check, { numRuns: 3_000 });
    });
});

describe("a live worker", () => {
  let worker: TestWorker;
  before(async () => {
    worker = await TestWorker.start();
    await worker.deploy("neighbour", `export default () => new Response("here");`);
    await worker.deploy(
      "liar",
      `import * as fs from "node:fs";
       export default async (request: Request) => {
         const bytes = Buffer.from(await request.arrayBuffer());
         if (bytes.length === 0) return new Response("honest");
         for (let at = 0; at < bytes.length;)
           try { at += fs.writeSync(3, bytes, at); } catch (error) { if (error.code !== "EAGAIN") throw error; }
         if (request.headers.has("x-close")) fs.closeSync(3);
         await new Promise(() => {});
       };`,
      { timeoutMs: stretched(10_000) },
    );
  });
  after(() => worker.stop());

  /**
   * Has a fresh instance write these bytes on its wire while it is called; sees that nobody else
   * notices.
   */
  async function write(bytes: Buffer, headers: [string, string][] = []): Promise<Answered> {
    const neighbour = worker.call("neighbour");
    const answered = await worker.call("liar", { method: "POST", body: bytes, headers });
    assert.equal((await neighbour).text, "here");
    return answered;
  }

  const told: Record<Prefix["stage"], (answered: Answered) => unknown[]> = {
    waiting: ({ outcome, error }) => [outcome, error?.code],
    streaming: ({ outcome }) => [outcome],
    // The reply was complete: whether the caller still gets it is a matter of how the bytes arrive.
    replied: ({ outcome, status }) => [["ok 200", "killed 502"].includes(`${outcome} ${status}`)],
  };
  const EXPECTED: Record<Prefix["stage"], unknown[]> = {
    waiting: ["killed", "KILLED"],
    streaming: ["killed"],
    replied: [true],
  };

  async function endsFor(truth: Prefix, bytes: Buffer): Promise<void> {
    const answered = await write(Buffer.concat([truth.bytes, bytes]));
    assert.deepEqual(told[truth.stage](answered), EXPECTED[truth.stage]);
    // It was this instance's first call, and its last: the next lie is about the first call of
    // another.
    assert.notEqual(answered.start, "warm");
  }

  for (const truth of BARE)
    test(`ends a sandbox for each message that may not come when a call is ${truth.stage}`, async () => {
      for (const bytes of wellFormedLies(truth.stage)) await endsFor(truth, bytes);
    });

  test("ends a sandbox that lies, at whichever stage of a reply, and nobody else", async () => {
    const scene = prefix.chain((truth) => lie(truth.stage).map((bytes) => ({ truth, bytes })));
    await fc.assert(
      fc.asyncProperty(scene, ({ truth, bytes }) => endsFor(truth, bytes)),
      { numRuns: LIVE_RUNS, endOnFailure: true },
    );
    assert.equal((await worker.call("liar")).text, "honest");
  });

  for (const { name, hex } of corpus.filter(({ to, verdict }) => to === "worker" && verdict === "refused"))
    test(`ends a sandbox that sends ${name}`, async () => {
      assert.deepEqual(told.waiting(await write(Buffer.from(hex, "hex"))), EXPECTED.waiting);
    });

  test("ends a sandbox that sends a message a second time, an hour late, or between two calls", async () => {
    await worker.deploy(
      "late",
      `import * as fs from "node:fs";
       export default () => { setTimeout(() => fs.writeSync(3, Buffer.from("${frames.encodeIdle(CALL).toString("hex")}", "hex")), 1);
         return new Response("at once"); };`,
    );
    assert.equal((await worker.call("late")).text, "at once");
    await eventually(
      () => worker.worker.facts().pool.free === 0 || worker.call("late").then(({ start }) => start !== "warm"),
    );
    assert.equal((await worker.call("neighbour")).text, "here");
  });

  test("ends a sandbox that closes its connection within a frame", async () => {
    const cut = corpus.find(({ verdict, name }) => verdict === "waited for" && name.includes("last byte"));
    const answered = await write(Buffer.from(cut?.hex ?? "", "hex"), [["x-close", "1"]]);
    assert.deepEqual(told.waiting(answered), EXPECTED.waiting);
  });

  test("keeps no more of a frame than its limit, and nothing of a flood", async () => {
    const chunk = `Buffer.concat([Buffer.from([0, 0, 16, 0, 0x85, ${CALL}, 0, 0, 0]), Buffer.alloc(${frames.MAX_FRAME_BYTES - 5})])`;
    const head = frames.encodeHead({ ...HEAD, streaming: true, last: false });
    await worker.deploy(
      "flood",
      `import * as fs from "node:fs";
       const write = (bytes) => { for (let at = 0; at < bytes.length;)
         try { at += fs.writeSync(3, bytes, at); } catch (error) { if (error.code !== "EAGAIN") throw error; } };
       export default async () => { const chunk = ${chunk}; write(Buffer.from("${head.toString("hex")}", "hex"));
         for (let i = 0; i < 18; i++) write(chunk);
         write(chunk.subarray(0, -1)); write(Buffer.alloc(5)); await new Promise(() => {}); };`,
      { timeoutMs: stretched(10_000) },
    );
    const before = process.memoryUsage().rss;
    for (let round = 0; round < 2; round++) assert.equal((await worker.call("flood")).outcome, "killed");
    assert.ok(process.memoryUsage().rss - before < 200 * MEBIBYTE);
  });
});

test("no descriptor is accepted over the wire: the kernel refuses it, or drops what goes along with a frame", async () => {
  const launcher = await openTestLauncher();
  const open = () => readdirSync("/proc/self/fd").length;
  const record = frames.encodeLog({
    call: null,
    level: "info",
    source: "console",
    timeMs: 1,
    text: "with a descriptor",
  });
  await runNatively(launcher, plan("descriptor", record.length, record));
  const before = open();
  for (let round = 0; round < 5; round++) {
    const [line] = await runNatively(launcher, plan("descriptor", record.length, record));
    // None or all of the frame went, and then the pipe ended: its other end is nowhere.
    assert.equal(line, `${canRefuseDescriptors() ? -1 : record.length} 0`);
  }
  assert.equal(open(), before);
  await launcher.close();
});
