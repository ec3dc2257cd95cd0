/** Requirement 19: `__proto__` and its like, in everything that a client or a function can name. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { functionConfigSchema } from "../../functions/model/manifest.ts";
import { Arena } from "./arena.ts";

const NAMES = ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty"];
const POLLUTION = `{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}`;

let arena: Arena;
before(async () => {
  arena = await Arena.open();
});
after(async () => {
  // The worker runs in this very process.
  assert.deepEqual(Object.keys(Object.prototype), []);
  assert.equal(({} as Record<string, unknown>).polluted, undefined);
  await arena.close();
});

describe("names that every object has", () => {
  it("are names like any other in a request: path, query, headers, body", async () => {
    await arena.worker.deploy(
      "echo",
      `export default async (request: Request) => Response.json({
        path: new URL(request.url).pathname.split("/").at(-1), query: [...new URL(request.url).searchParams.keys()],
        headers: [...request.headers.keys()].filter((name) => name !== "host"),
        body: Object.keys(await request.json()), polluted: ({} as any).polluted ?? null });`,
    );
    for (const name of NAMES) {
      const { text } = await arena.worker.call("echo", {
        method: "POST",
        path: `/${name}?${name}[polluted]=1`,
        headers: [[name.toLowerCase(), POLLUTION]],
        body: POLLUTION,
      });
      const seen = JSON.parse(text) as Record<string, unknown>;
      assert.deepEqual([seen.path, seen.query, seen.polluted], [name, [`${name}[polluted]`], null]);
      assert.deepEqual(seen.headers, [name.toLowerCase()]);
      assert.deepEqual(seen.body, ["__proto__", "constructor"]);
    }
  });

  it("are names like any other in a reply, in logs and in errors", async () => {
    const { headers, text, id, outcome } = await arena.attack(
      "replies",
      `const error = Object.assign(new Error("thrown"), JSON.parse('${POLLUTION}'));
       console.log(JSON.parse('${POLLUTION}'), error.message);
       return new Response('${POLLUTION}', { headers: [["__proto__", "a"], ["constructor", "b"]] });`,
    );
    assert.equal(outcome, "ok");
    assert.equal(text, POLLUTION);
    assert.deepEqual(
      headers.filter(([name]) => name !== "content-type"),
      [
        ["__proto__", "a"],
        ["constructor", "b"],
      ].sort(),
    );
    assert.match((await arena.worker.logs("replies", id))[0]?.text ?? "", /polluted/);
  });

  it("are names like any other in a function's environment", async () => {
    const env = JSON.parse(`{"__proto__":"a","constructor":"b","OTHER":"c"}`) as Record<string, string>;
    await arena.worker.deploy(
      "env",
      `export default { fetch: (request: Request, env: Record<string, string>) =>
        Response.json([Object.entries(env).filter(([name]) => ["__proto__", "constructor", "OTHER"].includes(name)).sort(), ({} as any).polluted ?? null]) };`,
      { env },
    );
    const [entries, polluted] = JSON.parse((await arena.worker.call("env")).text) as [string[][], unknown];
    // The schema leaves "__proto__" out.
    assert.deepEqual(entries, [
      ["OTHER", "c"],
      ["constructor", "b"],
    ]);
    assert.equal(polluted, null);
  });

  it("are no fields of a configuration", () => {
    for (const name of ["__proto__", "constructor"]) {
      const config = JSON.parse(`{"name":"f","${name}":{"memoryMiB":2048}}`) as unknown;
      const parsed = functionConfigSchema.safeParse(config);
      assert.ok(!parsed.success || parsed.data.memoryMiB !== 2_048, name);
    }
  });

  it("change nothing outside when a function changes its own", async () => {
    const { text } = await arena.attack(
      "changes",
      `Object.assign(Object.prototype, { polluted: 1, type: "head", call: 1, status: 599, error: null, length: 7 });
       Object.defineProperty(Array.prototype, "map", { value: () => "no" });
       JSON.parse = JSON.stringify = () => "no"; Buffer.from = () => "no"; return new Response("still");`,
    );
    assert.equal(text, "still");
  });
});
