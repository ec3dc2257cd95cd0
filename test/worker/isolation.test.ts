/**
 * The isolation "invocation" through a whole worker: what callers, logs, records and whoever asks
 * about a function see of it.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Registry } from "../../functions/store/registry.ts";
import { stretched } from "../helpers/slowness.ts";
import { TestWorker } from "../helpers/worker.ts";

const COUNTS = `
  const id = crypto.randomUUID();
  let calls = 0;
  export default async (request: Request) => {
    console.log("call", new URL(request.url).search);
    return Response.json({ id, calls: ++calls, bytes: (await request.arrayBuffer()).byteLength });
  };`;
const ISOLATION = { isolation: "invocation" } as const;

const noTemplateReasonOf = async (test: TestWorker, functionName: string) =>
  (await new Registry(test.redis.connect()).getFunction({ tenant: "main", functionName }))?.noTemplateReason;

describe("calls of a template", () => {
  let test: TestWorker;
  before(async () => {
    test = await TestWorker.start();
  });
  after(() => test.stop());

  it("find the module as it was loaded, and have logs, records and large bodies of their own", async () => {
    await test.deploy("counts", COUNTS, ISOLATION);
    const ids = new Set<string>();
    for (const bytes of [0, 1_000, 3 << 20, 0]) {
      const answered = await test.call("counts", { method: "POST", path: `/?${bytes}`, body: Buffer.alloc(bytes) });
      const { id, calls, bytes: received } = JSON.parse(answered.text);
      assert.deepEqual([answered.outcome, calls, received], ["ok", 1, bytes]);
      assert.deepEqual(
        (await test.logs("counts", answered.id)).map(({ text }) => text),
        [`call ?${bytes}`],
      );
      assert.ok((await test.record(answered.id)).cpuMs < stretched(1_000));
      ids.add(id);
    }
    assert.equal(ids.size, 1);
    assert.equal(await noTemplateReasonOf(test, "counts"), null);
  });

  it("may leave a body unread, and reply with more than fits a frame", async () => {
    await test.deploy("ignores", `export default () => new Response("x".repeat(3 << 20));`, ISOLATION);
    for (let call = 0; call < 3; call++) {
      const { text, outcome } = await test.call("ignores", { method: "POST", body: Buffer.alloc(5 << 20) });
      assert.deepEqual([outcome, text.length], ["ok", 3 << 20]);
    }
  });

  it("go on after their reply, and end before the next call", async () => {
    await test.deploy(
      "later",
      `import { readdirSync, writeFileSync } from "node:fs";
      export default { fetch(request: Request, env: unknown, ctx: { waitUntil(work: Promise<unknown>): void }) {
        ctx.waitUntil(new Promise((done) => setTimeout(done, 20)).then(() => {
          writeFileSync("/tmp/later", "x");
          console.log("later");
        }));
        return Response.json(readdirSync("/tmp"));
      } };`,
      ISOLATION,
    );
    for (let call = 0; call < 3; call++) {
      const { text, id } = await test.call("later");
      assert.equal(text, "[]");
      assert.deepEqual(
        (await test.logs("later", id)).map((record) => record.text),
        ["later"],
      );
    }
  });

  it("are loaded for when they cannot be, which the log says once and the registry keeps", async () => {
    await test.deploy("open", `setInterval(() => {}, 1_000); ${COUNTS}`, ISOLATION);
    const answers = [await test.call("open"), await test.call("open")];
    const [first, second] = answers.map(({ text }) => JSON.parse(text));
    assert.deepEqual([first.calls, second.calls], [1, 1]);
    assert.notEqual(first.id, second.id);
    const logs = await Promise.all(answers.map(({ id }) => test.logs("open", id)));
    const said = logs.map((records) => records.filter(({ source }) => source === "platform").map(({ text }) => text));
    const [noTemplateReason, sentence] = ["the module keeps something open: Timeout", said[0]?.[0] ?? ""];
    assert.equal(
      sentence,
      `Each call loads the module anew instead of having a copy of it, because ${noTemplateReason}.`,
    );
    assert.deepEqual(said[1], []);
    assert.equal(await noTemplateReasonOf(test, "open"), noTemplateReason);
  });
});

it("where sandboxes are no forks, each call loads the module, and the reason says so", async () => {
  const test = await TestWorker.start({ SANDPIPER_LAUNCHER: "exec" });
  try {
    await test.deploy("counts", COUNTS, ISOLATION);
    const [first, second] = [await test.call("counts"), await test.call("counts")].map(({ text }) => JSON.parse(text));
    assert.deepEqual([first.calls, second.calls], [1, 1]);
    assert.notEqual(first.id, second.id);
    assert.match((await noTemplateReasonOf(test, "counts")) ?? "", /started anew instead of forked/);
  } finally {
    await test.stop();
  }
});
