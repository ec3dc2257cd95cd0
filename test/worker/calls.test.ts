import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { stretched } from "../helpers/slowness.ts";
import { TestWorker } from "../helpers/worker.ts";

let test: TestWorker;
before(async () => {
  test = await TestWorker.start();
});
after(() => test.stop());

describe("requests and replies", () => {
  before(() =>
    test.deploy(
      "echo",
      `export default async (request: Request) => {
        const headers = new Headers({ "x-method": request.method, "x-url": request.url });
        headers.append("set-cookie", "a=1"); headers.append("set-cookie", "b=2");
        return new Response(await request.arrayBuffer(), { status: 201, headers });
      };`,
    ),
  );

  for (const bytes of [0, 1, 20_000, 700_000, 3_000_000]) {
    it(`carries a body of ${bytes} bytes both ways unchanged`, async () => {
      const body = randomBytes(bytes);
      const answered = await test.call("echo", { method: "POST", body });
      assert.equal(answered.status, 201);
      assert.ok(answered.body.equals(body));
    });
  }

  it("keeps status, header pairs, method and URL", async () => {
    const { headers, status } = await test.call("echo", { method: "PATCH", path: "/a%20b?c=%2F&c=d" });
    const values = (name: string) => headers.filter(([field]) => field === name).map(([, value]) => value);
    assert.equal(status, 201);
    assert.deepEqual(values("set-cookie"), ["a=1", "b=2"]);
    assert.deepEqual(values("x-method"), ["PATCH"]);
    assert.match(values("x-url")[0] ?? "", /\/a%20b\?c=%2F&c=d$/);
  });

  it("refuses a request that does not fit the protocol, and keeps the instance", async () => {
    const first = await test.call("echo");
    const many = Array.from({ length: 200 }, (_, index): [string, string] => [`x-${index}`, "1"]);
    const refused = await test.call("echo", { headers: many });
    assert.deepEqual([refused.error?.code, refused.status], ["HEADERS_TOO_LARGE", 431]);
    assert.equal((await test.call("echo")).start, "warm");
    assert.equal(first.status, 201);
  });

  it("streams what the function streams", async () => {
    await test.deploy(
      "stream",
      `export default () => {
        let n = 0;
        return new Response(new ReadableStream({ async pull(c) {
          await new Promise((r) => setTimeout(r, ${stretched(5)}));
          if (++n > 4) c.close(); else c.enqueue(new TextEncoder().encode("part " + n + "\\n"));
        } }));
      };`,
    );
    const kinds: string[] = [];
    const answered = await test.call("stream", { onReply: ({ kind }) => void kinds.push(kind) });
    assert.deepEqual([answered.streamed, answered.outcome], [true, "ok"]);
    assert.equal(answered.text, "part 1\npart 2\npart 3\npart 4\n");
    assert.ok(kinds.filter((kind) => kind === "chunk").length >= 3);
  });

  it("says how a stream broke off", async () => {
    await test.deploy(
      "breaks",
      `export default () => new Response(new ReadableStream({ async pull(c) {
        await new Promise((r) => setTimeout(r, 5)); if (globalThis.once) throw new Error("broken");
        globalThis.once = true; c.enqueue(new Uint8Array(3)); } }));`,
    );
    const answered = await test.call("breaks");
    assert.deepEqual([answered.streamed, answered.outcome, answered.body.length], [true, "function_error", 3]);
    assert.match((await test.logs("breaks", answered.id))[0]?.text ?? "", /broken/);
  });
});

describe("work that outlives the reply", () => {
  it("runs on, belongs to its call's log, and keeps other calls away from the instance", async () => {
    await test.deploy(
      "later",
      `let done = 0;
      export default { fetch(request, env, ctx) {
        ctx.waitUntil(new Promise((r) => setTimeout(r, ${stretched(200)})).then(() => console.log("done", ++done)));
        return new Response("at once");
      } };`,
    );
    const first = await test.call("later");
    const second = await test.call("later");
    assert.notEqual(second.start, "warm");
    const logs = await test.logs("later", first.id);
    assert.deepEqual(
      logs.map(({ text }) => text),
      ["done 1"],
    );
    assert.ok(
      (await test.record(first.id)).endedAtMs >= (await test.record(first.id)).startedAtMs + stretched(200) - 10,
    );
  });

  it("is ended with the function's time limit, which the log tells", async () => {
    const limitMs = stretched(200);
    await test.deploy(
      "endless",
      `export default { fetch: (r, e, ctx) => (ctx.waitUntil(new Promise(() => {})), new Response("at once")) };`,
      { timeoutMs: limitMs },
    );
    const answered = await test.call("endless");
    assert.deepEqual([answered.outcome, answered.text], ["ok", "at once"]);
    const [record] = await test.logs("endless", answered.id);
    assert.deepEqual([record?.source, record?.level], ["platform", "warn"]);
    assert.match(record?.text ?? "", new RegExp(`After its reply: .*${limitMs} ms`));
    assert.equal((await test.record(answered.id)).outcome, "ok");
  });
});

describe("logs and records", () => {
  it("attribute output to its call, by level and source", async () => {
    await test.deploy(
      "logs",
      `import * as fs from "node:fs";
      console.log("loading");
      export default async () => { console.warn("careful"); console.error("bad"); process.stdout.write("out\\n");
        fs.writeSync(2, "raw\\n"); await new Promise((r) => setTimeout(r, 50)); return new Response(); };`,
    );
    const { id } = await test.call("logs");
    const records = (await test.logs("logs", id)).map(({ level, source, text }) => `${level} ${source} ${text}`).sort();
    assert.deepEqual(records, [
      "error console bad",
      "info console loading",
      "info stdout out",
      "info stdout raw",
      "warn console careful",
    ]);
  });

  it("have the error of a version that cannot be loaded", async () => {
    await test.deploy("unloadable", `const a: any = undefined;\nexport default a.b;`);
    const answered = await test.call("unloadable");
    assert.deepEqual([answered.outcome, answered.error?.code], ["function_error", "FUNCTION_LOAD_FAILED"]);
    assert.match((await test.logs("unloadable", answered.id))[0]?.text ?? "", /TypeError[\s\S]*index\.ts:2:/);
  });

  it("have what a call used", async () => {
    await test.deploy(
      "busy",
      `export default () => { const { user } = process.cpuUsage(); while (process.cpuUsage().user - user < 40_000); };`,
    );
    const first = await test.record((await test.call("busy")).id);
    assert.ok(first.cpuMs > 20 && first.cpuMs < stretched(5_000), `${first.cpuMs} ms`);
    assert.ok(first.peakMemoryBytes > 500_000);
  });

  it("have what a call used that was ended for its time limit", async () => {
    await test.deploy("endless", "export default () => { for (;;); };", { timeoutMs: stretched(500) });
    const { id, outcome } = await test.call("endless");
    assert.equal(outcome, "timeout");
    const { cpuMs } = await test.record(id);
    assert.ok(cpuMs > 100, `${cpuMs} ms`);
  });
});

describe("calls that do not run", () => {
  it("are refused when their time is over, and recorded", async () => {
    await test.deploy("late", `export default () => new Response();`);
    const { id, outcome, error } = await test.call("late", { expiresInMs: -1 });
    assert.deepEqual([outcome, error?.code], ["platform_error", "EXPIRED"]);
    assert.equal((await test.record(id)).outcome, "platform_error");
  });

  it("are answered when the artefact store has lost their code", async () => {
    const version = await test.deploy("lost", `export default () => new Response("${Math.random()}");`);
    await test.forget(version.bundle);
    const { error, status } = await test.call("lost");
    assert.deepEqual([error?.code, status], ["BUNDLE_LOST", 503]);
  });

  it("are answered when their code is damaged in the artefact store", async () => {
    const version = await test.deploy("damaged", `export default () => new Response("${Math.random()}");`);
    await test.damage(version.bundle);
    const { error, status } = await test.call("damaged");
    assert.deepEqual([error?.code, status], ["BUNDLE_LOST", 503]);
  });
});

describe("a worker that drains", () => {
  it("answers the calls that run", async () => {
    const draining = await TestWorker.start();
    await draining.deploy(
      "slow",
      `export default () => new Promise((r) => setTimeout(() => r(new Response("done")), ${stretched(300)}));`,
    );
    const call = draining.call("slow");
    await eventually(() => draining.worker.facts().pool.busy === 1);
    const [answered] = await Promise.all([call, draining.stop()]);
    assert.equal(answered.text, "done");
  });
});
