/** Requirements 11 and 12: output without end, and output that is not only text. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { PassThrough } from "node:stream";
import { after, before, describe, it } from "node:test";
import { formatLogLine } from "../../functions/cli/show/log-lines.ts";
import type { LogRecord } from "../../functions/model/invocation.ts";
import { encodeChunk, encodeHead } from "../../sandbox-core/protocol/frames.ts";
import { Output } from "../../worker/instance/output.ts";
import { eventually } from "../helpers/eventually.ts";
import { begin, poolOpener } from "../helpers/pool.ts";
import { LONGEST_CALL_MS, stretched } from "../helpers/slowness.ts";
import { TestWorker } from "../helpers/worker.ts";
import { Arena } from "./arena.ts";

const MEBIBYTE = 1024 * 1024;
/**
 * What Node itself may take meanwhile; a worker that kept the output would need thousands of them.
 */
const FLAT_BYTES = 200 * MEBIBYTE;

/** Something that shows no colours, as those are escape sequences of our own. */
const PLAIN = new PassThrough() as unknown as NodeJS.WriteStream;

let arena: Arena;
before(async () => {
  arena = await Arena.open();
});
after(() => arena.close());

const bytesOf = (records: LogRecord[]) => records.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
const isMarked = (records: LogRecord[]) => records.some(({ text }) => /truncated/.test(text));

describe("(11) 10 GB of output", () => {
  const cases: [name: string, bad: string, outcomes: string[]][] = [
    [
      "console",
      `const line = "x".repeat(64 * 1024); for (let i = 0; i < 160 * 1024; i++) console.log(line);`,
      ["ok", "timeout"],
    ],
    // A worker that reads at its own speed holds up the writer, who then meets the limit of time.
    [
      "stdout",
      `const line = Buffer.alloc(64 * 1024, "x".repeat(1023) + "\\n"); for (let i = 0; i < 160 * 1024; i++) await write(1, line);`,
      ["timeout"],
    ],
    [
      "stderr",
      `const line = Buffer.alloc(64 * 1024, 0x80); for (let i = 0; i < 160 * 1024; i++) await write(2, line);`,
      ["timeout"],
    ],
  ];
  for (const [name, bad, outcomes] of cases)
    it(`to ${name} is cut and says so, and costs the worker no memory`, async () => {
      const before = process.memoryUsage().rss;
      const { outcome, id } = await arena.attack(`floods-${name}`, bad, { timeoutMs: stretched(2_000) });
      assert.ok(outcomes.includes(outcome), outcome);
      const records = await arena.worker.logs(`floods-${name}`, id);
      assert.ok(isMarked(records));
      assert.ok(bytesOf(records) < MEBIBYTE, `${bytesOf(records)} bytes were kept`);
      assert.ok(process.memoryUsage().rss - before < FLAT_BYTES);
    });

  it("in a hundred thousand lines keeps as many records as it may", async () => {
    const { outcome, id } = await arena.attack("lines", `for (let i = 0; i < 100_000; i++) console.log("line", i);`);
    assert.equal(outcome, "ok");
    const records = await arena.worker.logs("lines", id);
    assert.ok(records.length <= 1_002, `${records.length} records`);
    assert.match(records.at(-1)?.text ?? "", /truncated/);
  });

  it("in records of its own making ends the sandbox", async () => {
    const frame = `(() => { const b = Buffer.alloc(20); b.writeUInt32LE(16, 0); b[4] = 0x88; b.write("x", 19); return b; })()`;
    const bad = `const many = Buffer.concat(Array(1000).fill(${frame}));
      for (;;) for (const fd of sockets()) try { fs.writeSync(fd, many); } catch {}`;
    const { outcome } = await arena.attack("log-frames", bad);
    assert.equal(outcome, "killed");
  });
});

describe("replies that are written faster than anybody can take them", () => {
  const CALLS = 8;
  const PIECE = 60_000;
  const PIECES = 300;

  it("come whole when they are streamed, and no reply of a neighbour's is lost", async () => {
    const { worker } = arena;
    await worker.deploy(
      "streams",
      `export default () => {
        let left = ${PIECES};
        const piece = new Uint8Array(${PIECE});
        return new Response(new ReadableStream({ pull(to) { if (left-- > 0) to.enqueue(piece); else to.close(); } }));
      };`,
      { timeoutMs: LONGEST_CALL_MS },
    );
    const streams = Array.from({ length: CALLS }, () => worker.call("streams", { expiresInMs: stretched(60_000) }));
    const neighbours: string[] = [];
    let isOver = false;
    const neighbour = (async () => {
      while (!isOver) neighbours.push((await worker.call("neighbour")).text);
    })();
    for (const { outcome, body } of await Promise.all(streams))
      assert.deepEqual([outcome, body.length], ["ok", PIECE * PIECES]);
    isOver = true;
    await neighbour;
    assert.deepEqual([...new Set(neighbours)], ["here"]);
  });

  it("come whole when they are large and all are there while Redis takes none", async () => {
    const bytes = 12 * MEBIBYTE;
    const test = await TestWorker.start({ SANDPIPER_MAX_REPLY_BYTES: String(bytes) });
    try {
      const large = `export default async () => {
        await new Promise((done) => setTimeout(done, 1_000));
        return new Response(new Uint8Array(${bytes}));
      };`;
      await test.deploy("large", large, { timeoutMs: LONGEST_CALL_MS });
      const calls = Array.from({ length: CALLS }, () => test.call("large", { expiresInMs: stretched(60_000) }));
      await eventually(() => test.worker.facts().pool.busy === CALLS);
      await test.redis.connect().call("CLIENT", "PAUSE", 3_000, "ALL");
      for (const { outcome, body } of await Promise.all(calls)) assert.deepEqual([outcome, body.length], ["ok", bytes]);
    } finally {
      await test.stop();
    }
  });

  it("are read no faster in frames of nothing, nor sent on", async () => {
    const { worker } = arena;
    await worker.deploy(
      "nothing",
      `import * as fs from "node:fs";
      export default () => {
        const frame = Buffer.from([5, 0, 0, 0, 0x85, 1, 0, 0, 0]);
        const many = Buffer.concat(Array(5_000).fill(frame));
        return new Response(new ReadableStream({ async pull(to) {
          to.enqueue(Buffer.from("a"));
          await new Promise((done) => setTimeout(done, 50));
          for (let left = 20; left > 0; left--)
            for (let at = 0; at < many.length;)
              try { at += fs.writeSync(3, many, at); } catch (error) { if (error.code !== "EAGAIN") throw error; }
          to.close();
        } }));
      };`,
    );
    let replies = 0;
    const { outcome, text } = await worker.call("nothing", { onReply: () => void replies++ });
    assert.deepEqual([outcome, text], ["ok", "a"]);
    assert.ok(replies < 10, `${replies} replies`);
  });
});

describe("a sandbox that says much in little pieces", () => {
  const open = poolOpener();
  /** Writes as much of it as there is, and ends then. */
  const flooding = (fd: number, piece: Buffer, first: Buffer) => `
    import * as fs from "node:fs";
    const write = (bytes) => { for (let at = 0; at < bytes.length;)
      try { at += fs.writeSync(${fd}, bytes, at); } catch (error) { if (error.code !== "EAGAIN") throw error; } };
    export default () => {
      write(Buffer.from("${first.toString("hex")}", "hex"));
      write(Buffer.concat(Array(100_000).fill(Buffer.from("${piece.toString("hex")}", "hex"))));
      return new Promise(() => {});
    };`;
  const head = encodeHead({ call: 1, status: 200, headers: [], streaming: true, last: false, body: Buffer.alloc(0) });
  const cases: [what: string, fd: number, piece: Buffer, first: Buffer][] = [
    ["frames of a byte", 3, encodeChunk(1, Buffer.from("x")), head],
    ["frames of nothing", 3, encodeChunk(1, Buffer.alloc(0)), head],
  ];
  for (const [what, fd, piece, first] of cases)
    it(`is not read for a while, and then again: ${what}`, async () => {
      const lease = await open().acquire({ code: flooding(fd, piece, first) });
      const { wire } = lease.instance.sandbox;
      begin(lease).catch(() => {});
      for (const event of ["pause", "resume", "pause", "resume"]) await once(wire, event);
      lease.discard("the test is over");
    });

  it("has its lines counted as it has its bytes", async () => {
    const lines = new PassThrough();
    let read = 0;
    const output = new Output(lines, () => void read++);
    lines.write(Buffer.alloc(60_000, "\n"));
    await eventually(() => read === 60_000);
    lines.write(Buffer.from("one more\n"));
    // Many turns of the loop, and it is not read: only time ends the pause.
    for (let turn = 0; turn < 100; turn++) await new Promise((done) => setImmediate(done));
    assert.equal(read, 60_000);
    lines.end();
    await output.ended;
    assert.equal(read, 60_001);
  });
});

describe("(12) control characters in output", () => {
  /**
   * Erases the screen, forges a line, rewrites one, hides what follows, turns text around; no
   * UTF-8; halves of pairs.
   */
  const EVIL = [
    "\u001b[2J\u001b]0;title\u0007",
    "a\r\u001b[1Aok",
    "\u0000\u0008\u007f\u009b31m",
    "\u202e\u2066\u200f\ufeff\u2028",
  ];
  const isUnsafe = (character: string) =>
    /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(character) && !"\n\t".includes(character);

  it("are kept as they are, by whichever way they come", async () => {
    const bad = `const evil = ${JSON.stringify(EVIL)};
      for (const text of evil) { console.log(text); process.stderr.write(text + "\\n"); await write(1, Buffer.from(text + "\\n")); }`;
    const { id } = await arena.attack("evil", bad);
    const texts = (await arena.worker.logs("evil", id)).map(({ text }) => text);
    for (const text of EVIL) {
      const times = texts.filter((found) => found === text).length;
      // What goes straight to a descriptor may come after the call's end, and is then nobody's.
      assert.ok(times === 2 || times === 3, `${JSON.stringify(text)} ${times} times`);
    }
  });

  it("reach no terminal, and forge no line of another record", async () => {
    const bad = `console.log(${JSON.stringify(EVIL.join(""))}); console.log("one\\n12:00:00.000 error platform forged");
      await write(2, Buffer.from([0xff, 0xc3, 0x28, 0xed, 0xa0, 0x80, 0x0a]));`;
    const { id } = await arena.attack("terminal", bad);
    const lines = (await arena.worker.logs("terminal", id)).map((record) => formatLogLine(record, PLAIN));
    assert.ok(lines.length >= 2);
    for (const line of lines) {
      assert.deepEqual([...line].filter(isUnsafe), [], JSON.stringify(line));
      for (const further of line.trimEnd().split("\n").slice(1)) assert.match(further, /^ {28}/);
    }
  });
});
