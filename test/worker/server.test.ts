/** Functions that are servers, through a whole worker: as callers, logs and records see them. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Registry } from "../../functions/store/registry.ts";
import { TestWorker } from "../helpers/worker.ts";

const SERVER = `
  import { createServer } from "node:http";
  const moduleId = crypto.randomUUID();
  let calls = 0;
  const server = createServer(async (req, res) => {
    let bytes = 0;
    for await (const piece of req) bytes += piece.length;
    console.log("call", req.url);
    res.end(JSON.stringify({ moduleId, calls: ++calls, bytes, port: server.address().port }));
  });`;
/** The answer of the server. */
interface Seen {
  moduleId: string;
  calls: number;
  bytes: number;
  port: number;
}

const LISTENING = `${SERVER} server.listen(process.env.PORT);`;

describe("a function that listens", () => {
  let test: TestWorker;
  before(async () => {
    test = await TestWorker.start();
  });
  after(() => test.stop());

  const seen = async (name: string, bytes = 0) => {
    const answered = await test.call(name, { method: "POST", path: `/?${bytes}`, body: Buffer.alloc(bytes) });
    assert.equal(answered.outcome, "ok", JSON.stringify(answered.error));
    return { ...answered, ...(JSON.parse(answered.text) as Seen) };
  };

  it("has logs and records of its calls, bodies of any size, and instances that serve on", async () => {
    await test.deploy("listens", LISTENING);
    for (const [index, bytes] of [0, 1_000, 3 << 20, 0].entries()) {
      const answered = await seen("listens", bytes);
      assert.deepEqual([answered.calls, answered.bytes, answered.port], [index + 1, bytes, 8080]);
      const texts = (await test.logs("listens", answered.id)).map(({ text }) => text);
      assert.deepEqual(texts, [`call /?${bytes}`]);
      assert.equal((await test.record(answered.id)).outcome, "ok");
    }
  });

  it("listens on the port that is configured", async () => {
    await test.deploy("elsewhere", LISTENING, { env: { PORT: "3000" } });
    assert.equal((await seen("elsewhere")).port, 3000);
  });

  it("is loaded for each call where each call is to find nothing, and the reason is told", async () => {
    await test.deploy("each", LISTENING, { isolation: "invocation" });
    const [first, second] = [await seen("each"), await seen("each")];
    assert.deepEqual([first.calls, second.calls], [1, 1]);
    assert.notEqual(first.moduleId, second.moduleId);
    const { noTemplateReason } =
      (await new Registry(test.redis.connect()).getFunction({ tenant: "main", functionName: "each" })) ?? {};
    assert.match(noTemplateReason ?? "", /^the module keeps something open: TCP/i);
  });

  it("is waited for while something of its start is under way, and refused when nothing is", async () => {
    await test.deploy("late", `${SERVER} setTimeout(() => server.listen(process.env.PORT), 300);`);
    assert.equal((await seen("late")).calls, 1);
    await test.deploy("never", `${SERVER} setTimeout(() => {}, 300); // listen`);
    const { error, id } = await test.call("never");
    assert.equal(error?.code, "FUNCTION_LOAD_FAILED");
    const texts = (await test.logs("never", id)).map(({ text }) => text);
    assert.match(texts.join(), /The module exports no handler.*server listen/);
  });
});

it("where sandboxes are no forks, a function that listens is served as well", async () => {
  const test = await TestWorker.start({ SANDPIPER_LAUNCHER: "exec" });
  try {
    await test.deploy("listens", LISTENING);
    for (const calls of [1, 2]) assert.equal(JSON.parse((await test.call("listens")).text).calls, calls);
  } finally {
    await test.stop();
  }
});
