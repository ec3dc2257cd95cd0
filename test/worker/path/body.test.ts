/** Bodies that come while their call runs, and those of which the rest does not come. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { Source } from "../../helpers/body-source.ts";
import { eventually } from "../../helpers/eventually.ts";
import { TestWorker } from "../../helpers/worker.ts";

const CODE = `
  let calls = 0;
  const read = async (request) => {
    let text = "";
    for await (const piece of request.body) {
      text += Buffer.from(piece);
      console.log(text);
    }
    return text;
  };
  export default async (request, env, ctx) => {
    calls++;
    const { pathname } = new URL(request.url);
    if (pathname.endsWith("/calls")) return new Response(String(calls));
    if (pathname.endsWith("/early")) return new Response("early");
    if (pathname.endsWith("/exit")) {
      await request.body.getReader().read();
      process.exit(3);
    }
    if (pathname.endsWith("/catch")) return new Response(await read(request).catch(() => "caught"));
    if (pathname.endsWith("/stream")) return new Response(request.body.pipeThrough(new TransformStream()));
    return new Response(await read(request));
  };`;

let test: TestWorker;
before(async () => {
  test = await TestWorker.start();
  await test.deploy("reader", CODE);
  await test.deploy("once", CODE, { isolation: "invocation" });
  await redialed();
});
after(() => test.stop());

/** A call whose body the test gives; resolves once the function has read its first piece. */
async function reading(path: string, name = "reader") {
  const [source, id] = [new Source(), randomUUID()];
  const answer = test.call(name, { id, method: "POST", path, source });
  source.add(Buffer.from("first "));
  return { source, id, answer };
}

/** The next calls have the worker dial again. */
async function redialed(): Promise<void> {
  await eventually(async () => {
    await test.call("reader", { path: "/early" });
    return test.desk.connections === 1;
  });
}

for (const name of ["reader", "once"])
  describe(`a function (${name}) whose body comes while it runs`, () => {
    it("reads each piece as it comes", async () => {
      const { source, id, answer } = await reading("/", name);
      await eventually(async () => (await test.lines(name, id)).includes("first "));
      source.add(Buffer.from("second"));
      source.finish("end");
      assert.equal(String((await answer).body), "first second");
    });

    it("may answer without it: the rest is dropped, and the next call is served", async () => {
      const { source, id, answer } = await reading("/early", name);
      source.add(Buffer.alloc(10_000_000));
      assert.equal(String((await answer).body), "early");
      await eventually(() => source.isDropped);
      assert.equal((await test.record(id)).outcome, "ok");
      const next = await reading("/", name);
      next.source.finish("end");
      assert.equal(String((await next.answer).body), "first ");
    });

    it("may end its process: that is its own fault", async () => {
      const { source, answer } = await reading("/exit", name);
      assert.equal((await answer).error?.code, "FUNCTION_EXITED");
      await eventually(() => source.isDropped);
    });

    it("is not to blame when the way of it breaks, whatever it makes of that", async () => {
      for (const path of ["/", "/catch", "/stream"]) {
        const { id, answer } = await reading(path, name);
        await eventually(() => test.desk.tickets === 0);
        if (path === "/") await eventually(async () => (await test.lines(name, id)).includes("first "));
        test.desk.close();
        const { outcome, error } = await answer;
        assert.deepEqual([path, outcome, error?.code], [path, "platform_error", "BODY_LOST"]);
        assert.equal((await test.record(id)).error?.code, "BODY_LOST");
        await redialed();
      }
    });

    it("is told when its client left, and its call is cancelled", async () => {
      const { source, id } = await reading("/", name);
      await eventually(async () => (await test.lines(name, id)).includes("first "));
      source.finish("gone");
      assert.equal((await test.record(id)).outcome, "cancelled");
    });
  });

it("a call whose ticket is of no use ends with that", async () => {
  const id = randomUUID();
  // As if the gateway had given the call up meanwhile.
  const call = test.call("reader", { id, method: "POST", source: new Source() });
  test.desk.cancel(id);
  assert.equal((await call).error?.code, "BODY_LOST");
});
