/** Versions, aliases, rollbacks and history over the control API, and the calls that they move. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import type { BuildResult } from "../../../functions/model/build.ts";
import { Registry } from "../../../functions/store/registry.ts";
import { createKey } from "../../../functions/store/tenant.ts";
import { beat } from "../../../functions/store/workers.ts";
import { CancellationReceiver } from "../../../functions/transport/cancellations.ts";
import type { GatewayMetrics } from "../../../gateway/metrics.ts";
import { eventually } from "../../helpers/eventually.ts";
import { deployment, startTestGateway, type TestGateway } from "../../helpers/gateway.ts";
import { moveUnderCalls } from "../../moves/moves.ts";

let test: TestGateway;
let receiver: CancellationReceiver;
/** How many calls the gateway has that nobody answered yet. */
let waitingCalls = () => 0;
before(async () => {
  const metrics = {
    ask(_redis: unknown, figures: () => { waitingCalls: number }) {
      waitingCalls = () => figures().waitingCalls;
    },
    onEnded() {},
  } as unknown as GatewayMetrics;
  test = await startTestGateway({}, { metrics });
  const posture = { launcher: "fork", degraded: [] };
  await beat(test.connection, { id: "w", host: "h", pid: 1, startedAtMs: 1, running: 0, room: 1, posture });
  // Alive and connected for as long as the test: a gateway under load refuses calls else.
  receiver = new CancellationReceiver(test.connection, () => {});
  await test.connection.persist("sp:worker:w");
});
after(async () => {
  receiver.close();
  await test.stop();
});
beforeEach(() => {
  test.answer = ({ version }) => ({ body: Buffer.from(version) });
});

// biome-ignore lint/suspicious/noExplicitAny: answers of many shapes
type Json = any;

async function ask(method: string, path: string, body?: unknown, fields: Record<string, string> = {}) {
  const headers = { ...(body !== undefined && { "content-type": "application/json" }), ...fields };
  const init = { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) };
  const response = await test.api(`/v1/functions/${path}`, init);
  const text = await response.text();
  return { status: response.status, body: (text === "" ? null : JSON.parse(text)) as Json, headers: response.headers };
}

/** Deploys a version that this number alone tells from others. */
async function deploy(name: string, number: number, more: object = {}, fields: Record<string, string> = {}) {
  return ask("PUT", name, { ...deployment(name, { timeoutMs: 1_000 + number }), ...more }, fields);
}

/** The version that answers a call. */
async function called(name: string, headers: Record<string, string> = {}): Promise<string> {
  const response = await fetch(`${test.url}/fn/main/${name}`, { headers });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  assert.equal(response.headers.get("x-sandpiper-version"), text.slice(0, 12));
  return text;
}

const codeOf = ({ status, body }: { status: number; body: Json }) => [status, body?.error?.code];

it("a deployment tells what it changes of what was live", async () => {
  const contents = (packages: (string | null)[], builtins: string[]) => ({
    packages: packages.map((name) => ({ name, bytes: 10 })),
    others: { count: 0, bytes: 0 },
    builtins,
  });
  const { build } = test;
  const deployWith = async (config: Record<string, unknown>, files: Record<string, string>, told: object) => {
    test.build = async (request) => ({ ...(await build(request)), contents: told }) as BuildResult;
    const list = Object.entries(files).map(([path, text]) => ({ path, contentBase64: btoa(text) }));
    return (await ask("PUT", "telling", { ...deployment("telling", config), entry: "a.ts", files: list })).body;
  };
  const first = await deployWith({ env: { A: "1" } }, { "a.ts": "1", "b.ts": "1" }, contents([null], ["node:fs"]));
  assert.deepEqual([first.changes, first.contents], [null, contents([null], ["node:fs"])]);
  const files = { "a.ts": "2", "c.ts": "1", "d.ts": "1" };
  const config = { env: { B: "1" }, timeoutMs: 4_000 };
  const second = await deployWith(config, files, contents([null, "hono"], ["node:net"]));
  assert.deepEqual(second.changes, {
    since: first.version,
    files: { added: 2, changed: 1, removed: 1 },
    config: ["timeoutMs"],
    env: { added: ["B"], removed: ["A"], changed: false },
    packages: { added: ["hono"], removed: [] },
    builtins: { added: ["node:net"], removed: ["node:fs"] },
  });
  assert.equal((await deployWith(config, files, {})).changes, null, "the same version");
  const third = await deployWith({ ...config, env: { B: "other" } }, files, contents([null, "hono"], ["node:net"]));
  const nothing = { added: [], removed: [] };
  assert.deepEqual(third.changes, {
    since: second.version,
    files: { added: 0, changed: 0, removed: 0 },
    config: [],
    env: { ...nothing, changed: true },
    packages: nothing,
    builtins: nothing,
  });
  test.build = build;
});

describe("versions", () => {
  it("are listed with what their deployments said, and the same sources are the same version", async () => {
    const first = await deploy("listed", 1, { message: "the first", tag: "v1" });
    const second = await deploy("listed", 2, { message: "the second" });
    const again = await deploy("listed", 1);
    assert.equal(again.body.version, first.body.version);
    assert.equal(again.body.created, false);
    const { body } = await ask("GET", "listed/versions");
    assert.deepEqual(
      body.versions.map((one: Json) => [one.version, one.message, one.tag, one.aliases]),
      [
        [first.body.version, "the first", "v1", [{ alias: "live", percent: 100 }]],
        [second.body.version, "the second", null, []],
      ],
    );
    assert.ok(body.versions[1].unusedSince);
    assert.equal(body.versions[0].by, test.key.split("_")[1]);
  });

  it("are told in the history: who, what, when, why", async () => {
    await deploy("told", 1);
    await deploy("told", 2, { message: "why", tag: "v2" });
    await ask("POST", "told/rollback", { message: "it was wrong" });
    const { entries } = (await ask("GET", "told/history")).body;
    assert.deepEqual(
      entries.map((one: Json) => [one.kind, one.alias, one.message, one.tag, one.before === null]),
      [
        ["rollback", "live", "it was wrong", null, false],
        ["deploy", "live", "why", "v2", false],
        ["deploy", "live", null, null, true],
      ],
    );
    assert.equal(entries[0].by, test.key.split("_")[1]);
    assert.deepEqual(entries[0].after, entries[1].before);
  });

  it("keep a history that is bounded", async () => {
    const first = await deploy("bounded", 1);
    const { version } = first.body;
    await test.connection.lpush("sp:history:main:bounded", ...Array.from({ length: 300 }, () => "{}"));
    await ask("POST", "bounded/rollback", { version });
    assert.equal(await test.connection.llen("sp:history:main:bounded"), 200);
  });
});

describe("live", () => {
  it("goes back to what was live before, to a version by its digits or tag, and forth again", async () => {
    const one = (await deploy("back", 1, { tag: "v1.0" })).body.version;
    const two = (await deploy("back", 2)).body.version;
    const three = (await deploy("back", 3)).body.version;
    assert.equal(await called("back"), three);
    assert.deepEqual((await ask("POST", "back/rollback", {})).body.routes, [{ version: two, percent: 100 }]);
    assert.equal(await called("back"), two);
    await ask("POST", "back/rollback", { version: "v1.0" });
    assert.equal(await called("back"), one);
    await ask("POST", "back/promote", { from: three.slice(0, 8) });
    assert.equal(await called("back"), three);
    await ask("POST", "back/rollback", {});
    assert.equal(await called("back"), one);
  });

  it("has nothing to go back to at first", async () => {
    await deploy("new", 1);
    assert.deepEqual(codeOf(await ask("POST", "new/rollback", {})), [409, "NO_EARLIER_VERSION"]);
    assert.deepEqual(codeOf(await ask("POST", "new/promote", {})), [400, "INVALID_ALIAS"]);
  });

  it("is moved only if it is where the caller believes, and else nothing is stored", async () => {
    await deploy("etag", 1);
    const seen = await ask("GET", "etag/aliases/live");
    const etag = seen.headers.get("etag") ?? "";
    assert.equal(seen.body.etag, etag);
    const two = await deploy("etag", 2, {}, { "if-match": etag });
    assert.equal(two.status, 200);
    assert.deepEqual(codeOf(await deploy("etag", 3, {}, { "if-match": etag })), [412, "PRECONDITION_FAILED"]);
    assert.deepEqual(codeOf(await deploy("etag", 4, {}, { "if-none-match": "*" })), [412, "PRECONDITION_FAILED"]);
    for (const act of ["rollback", "promote"]) {
      const body = act === "promote" ? { from: two.body.version } : {};
      assert.deepEqual(codeOf(await ask("POST", `etag/${act}`, body, { "if-match": etag })), [
        412,
        "PRECONDITION_FAILED",
      ]);
    }
    assert.equal((await ask("GET", "etag/versions")).body.versions.length, 2, "a refused version was kept");
    assert.equal(await called("etag"), two.body.version);
    assert.equal((await ask("GET", "etag/history")).body.entries.length, 2);
  });

  it("is moved by one of two deployments that both saw the same", async () => {
    await deploy("race", 1);
    const etag = (await ask("GET", "race/aliases/live")).body.etag;
    const both = await Promise.all([2, 3].map((number) => deploy("race", number, {}, { "if-match": etag })));
    assert.deepEqual(both.map(({ status }) => status).sort(), [200, 412]);
    assert.equal(await called("race"), both.find(({ status }) => status === 200)?.body.version);
  });

  it("can be made if it is not there yet", async () => {
    assert.equal((await deploy("made", 1, {}, { "if-none-match": "*" })).status, 201);
    assert.deepEqual(codeOf(await deploy("unmade", 1, {}, { "if-match": "*" })), [412, "PRECONDITION_FAILED"]);
    assert.equal((await ask("GET", "unmade")).status, 404);
  });
});

describe("aliases", () => {
  it("are made, moved, listed, called and deleted", async () => {
    const one = (await deploy("named", 1)).body.version;
    const two = (await deploy("named", 2)).body.version;
    assert.equal((await ask("PUT", "named/aliases/staging", { routes: [{ version: one }] })).status, 200);
    assert.equal(await called("staging--named"), one);
    const etag = (await ask("GET", "named/aliases/staging")).body.etag;
    const move = { routes: [{ version: two.slice(0, 6) }] };
    assert.equal((await ask("PUT", "named/aliases/staging", move, { "if-match": etag })).status, 200);
    assert.equal((await ask("PUT", "named/aliases/staging", move, { "if-match": etag })).status, 412);
    assert.equal(await called("staging--named"), two);
    const { aliases } = (await ask("GET", "named/aliases")).body;
    assert.deepEqual(
      aliases.map((one: Json) => one.alias),
      ["live", "staging"],
    );
    const response = await fetch(aliases[1].url);
    assert.equal(await response.text(), two, aliases[1].url);
    assert.equal((await ask("DELETE", "named/aliases/staging")).status, 204);
    assert.equal((await fetch(`${test.url}/fn/main/staging--named`)).status, 404);
    assert.deepEqual(codeOf(await ask("DELETE", "named/aliases/staging")), [404, "ALIAS_NOT_FOUND"]);
    assert.deepEqual(codeOf(await ask("DELETE", "named/aliases/live")), [400, "INVALID_ALIAS"]);
  });

  it("are at most 32", async () => {
    const { version } = (await deploy("many", 1)).body;
    const set = (index: number) => ask("PUT", `many/aliases/a${index}x`, { routes: [{ version }] });
    const made = await Promise.all(Array.from({ length: 31 }, (_, index) => set(index)));
    assert.ok(made.every(({ status }) => status === 200));
    assert.deepEqual(codeOf(await set(31)), [409, "TOO_MANY_ALIASES"]);
    assert.equal((await set(3)).status, 200);
  });

  it("and versions have URLs of their own, after functions of that very name", async () => {
    const one = (await deploy("seen", 1)).body;
    const two = (await deploy("seen", 2)).body;
    for (const { version, versionUrl } of [one, two]) {
      assert.equal(await (await fetch(versionUrl)).text(), version);
      assert.equal(await called(`${version.slice(0, 12)}--seen`), version);
      assert.equal(await called(`${version}--seen`), version);
    }
    const named = (await deploy(`${one.version.slice(0, 12)}--seen`, 3)).body;
    assert.equal(await called(named.name), named.version);
  });

  it("are named in the calls of the function's own name", async () => {
    const { version } = (await deploy("own", 1)).body;
    const seen = new Promise((resolve) => {
      test.answer = (invocation) => {
        resolve([invocation.functionName, invocation.version, invocation.request.path]);
        return { body: Buffer.from(invocation.version) };
      };
    });
    await called("live--own");
    assert.deepEqual(await seen, ["own", version, "/"]);
  });
});

describe("two versions", () => {
  it("share the calls, and a promotion or rollback ends that", async () => {
    const one = (await deploy("shared", 1)).body.version;
    const canary = await deploy("shared", 2, { canary: { percent: 50 } });
    const two = canary.body.version;
    assert.equal(canary.body.percent, 50);
    const seen = new Set<string>();
    for (let i = 0; i < 200 && seen.size < 2; i++) seen.add(await called("shared"));
    assert.deepEqual(seen, new Set([one, two]));
    await ask("POST", "shared/rollback", {});
    for (let i = 0; i < 8; i++) assert.equal(await called("shared"), one);
    await deploy("shared", 2, { canary: { percent: 1 } });
    await ask("POST", "shared/promote", {});
    for (let i = 0; i < 8; i++) assert.equal(await called("shared"), two);
  });

  it("stay the same for who sends the same header field or cookie", async () => {
    const one = (await deploy("sticky", 1)).body.version;
    const two = (await deploy("sticky", 2)).body.version;
    for (const sticky of [{ header: "X-User" }, { cookie: "session" }]) {
      const routes = [
        { version: one, percent: 50 },
        { version: two, percent: 50 },
      ];
      assert.equal((await ask("PUT", "sticky/aliases/live", { routes, sticky })).status, 200);
      const headers = (user: number): Record<string, string> =>
        "header" in sticky ? { "x-user": `u${user}` } : { cookie: `a=b; session=u${user}; c=d` };
      const seen = new Set<string>();
      for (let user = 0; user < 20; user++) {
        const version = await called("sticky", headers(user));
        seen.add(version);
        for (let i = 0; i < 3; i++) assert.equal(await called("sticky", headers(user)), version);
      }
      assert.equal(seen.size, 2, "20 callers all got the same version");
    }
  });

  it("are both kept, and what was deployed first is live at once", async () => {
    const first = await deploy("first", 1, { canary: { percent: 10 } });
    assert.deepEqual([first.status, first.body.percent], [201, 100]);
    await deploy("first", 2, { canary: { percent: 10 } });
    const { versions } = (await ask("GET", "first/versions")).body;
    assert.deepEqual(
      versions.map((one: Json) => [one.aliases[0]?.percent, one.unusedSince]),
      [
        [10, null],
        [90, null],
      ],
    );
  });
});

it("a queued call keeps its version, whatever is deployed, rolled back or deleted meanwhile", async () => {
  const one = (await deploy("queued", 1)).body.version;
  test.slots = 0;
  test.worker.slotsChanged();
  const call = fetch(`${test.url}/fn/main/queued`);
  await eventually(() => waitingCalls() === 1);
  const two = (await deploy("queued", 2)).body.version;
  await ask("DELETE", "queued");
  const registry = new Registry(test.connection);
  const ref = { tenant: "main", functionName: "queued" };
  assert.equal(await registry.getVersion({ ...ref, version: one }), null);
  for (const version of [one, two]) assert.equal((await registry.versionOfCall({ ...ref, version }))?.version, version);
  test.slots = 100;
  test.worker.slotsChanged();
  assert.equal(await (await call).text(), one);
});

describe("bad input", () => {
  const bad = async (method: string, path: string, body: unknown, code: string, fields = {}) => {
    const before = await test.connection.hgetall("sp:function:main:strict");
    const answer = await ask(method, path, body, fields);
    assert.equal(answer.body?.error?.code, code, `${method} ${path} ${JSON.stringify(body)}: ${answer.status}`);
    assert.ok(answer.status >= 400 && answer.status < 500);
    assert.deepEqual(await test.connection.hgetall("sp:function:main:strict"), before);
  };

  it("is refused in names of aliases, and nothing is stored", async () => {
    const { version } = (await deploy("strict", 1)).body;
    const names = [
      "a%2Fb",
      "a.b",
      "..%2Fx",
      "a%00b",
      "a%0D%0Ab",
      "a:b",
      "%D0%B0lias",
      "A",
      "-a",
      "a--b",
      "abcdef",
      "ａ",
    ];
    for (const name of [...names, "x".repeat(33), "a%20b", "__proto__"]) {
      await bad("PUT", `strict/aliases/${name}`, { routes: [{ version }] }, "INVALID_ALIAS");
    }
    assert.deepEqual((await ask("GET", "strict/aliases")).body.aliases.length, 1);
  });

  it("is refused in shares and versions", async () => {
    const { version } = (await deploy("strict", 1)).body;
    const other = (await deploy("strict", 2)).body.version;
    const set = (routes: unknown, code = "INVALID_ALIAS") => bad("PUT", "strict/aliases/x", { routes }, code);
    await set([]);
    await set([{ version, percent: 90 }]);
    for (const percent of [0, -1, 101, 1.5, "10", null, 1e99]) await set([{ version, percent }]);
    const two = (a: number, b: number) => [
      { version, percent: a },
      { version: other, percent: b },
    ];
    for (const [a, b] of [
      [90, 20],
      [50, 40],
      [100, 100],
    ] as const) {
      await set(two(a, b));
    }
    await set([
      { version, percent: 50 },
      { version: version.slice(0, 10), percent: 50 },
    ]);
    await set([...two(40, 30), { version: "v1", percent: 30 }]);
    for (const name of ["../x", "a/b", "a\0b", "a\r\nb", "a:b", "", "x".repeat(65), "vеrsion"]) {
      await set([{ version: name, percent: 100 }]);
    }
    await set([{ version: "0".repeat(64), percent: 100 }], "VERSION_NOT_FOUND");
    await set([{ version: "no-such-tag", percent: 100 }], "VERSION_NOT_FOUND");
  });

  it("is refused in messages, tags, canaries and etags", async () => {
    await deploy("strict", 1);
    const given = deployment("strict", { timeoutMs: 4 });
    for (const more of [
      { message: "a\nb" },
      { message: "" },
      { message: "x".repeat(501) },
      { tag: "a b" },
      { tag: "a/b" },
      { tag: "abcdef" },
      { tag: "a\0" },
      { canary: { percent: 0 } },
      { canary: { percent: 100 } },
      { canary: { percent: 10, sticky: { header: "a b" } } },
      { canary: { percent: 10, sticky: { header: "a", cookie: "b" } } },
    ]) {
      await bad("PUT", "strict", { ...given, ...more }, "INVALID_REQUEST");
    }
    for (const etag of ["1", 'W/"1"', '"x"', '"1", "2"']) {
      await bad("PUT", "strict", given, "INVALID_REQUEST", { "if-match": etag });
    }
    await bad("PUT", "strict", given, "INVALID_REQUEST", { "if-match": "*", "if-none-match": "*" });
    const versions = (await ask("GET", "strict/versions")).body.versions;
    assert.ok(!versions.some((one: Json) => one.tag !== null || one.message !== null));
  });

  it("finds nothing of other functions and tenants: the same 404 as for what is not there", async () => {
    const { key } = await createKey(test.connection, "other");
    const theirs = { authorization: `Bearer ${key}` };
    const { version } = (await deploy("mine", 1)).body;
    const { version: another } = (await deploy("strict", 9)).body;
    await ask("PUT", "mine/aliases/secret", { routes: [{ version }] });
    await deploy("mine", 77, {}, theirs);
    const routes = (name: string) => ({ routes: [{ version: name, percent: 100 }] });
    const missing = "f".repeat(64);
    const shape = (answer: { status: number; body: Json }, name: string) => [
      ...codeOf(answer),
      answer.body.error.message.replace(name, "?"),
    ];
    const none = shape(await ask("PUT", "mine/aliases/x", routes(missing), theirs), missing);
    assert.equal(none[0], 404);
    for (const name of [version, another]) {
      assert.deepEqual(shape(await ask("PUT", "mine/aliases/x", routes(name), theirs), name), none);
      const rolled = await ask("POST", "mine/rollback", { version: name }, theirs);
      assert.deepEqual(shape(rolled, name), none);
    }
    assert.deepEqual(codeOf(await ask("POST", "mine/rollback", { version: another })), [404, "VERSION_NOT_FOUND"]);
    assert.deepEqual(codeOf(await ask("GET", "mine/aliases/secret", undefined, theirs)), [404, "ALIAS_NOT_FOUND"]);
    for (const path of ["versions", "history", "aliases", "aliases/secret"]) {
      assert.deepEqual(codeOf(await ask("GET", `queued-no/${path}`, undefined, theirs)), [404, "FUNCTION_NOT_FOUND"]);
    }
    const previews = ["secret--mine", `${version.slice(0, 12)}--mine`];
    for (const name of previews) assert.equal((await fetch(`${test.url}/fn/other/${name}`)).status, 404);
  });
});

/** So many here; `npm run test:moves` does 1,000 on a platform of its own. */
const MOVES = 30;

it("no call fails by deploys and rollbacks, and each answer is of a version that was live meanwhile", async () => {
  const its = {
    async deploy(number: number): Promise<string> {
      const { status, body } = await deploy("busy", number);
      assert.ok(status === 200 || status === 201, JSON.stringify(body));
      return body.version;
    },
    async rollback(): Promise<string> {
      const { status, body } = await ask("POST", "busy/rollback", {});
      assert.equal(status, 200, JSON.stringify(body));
      return body.routes[0].version;
    },
    call: () => called("busy"),
  };
  const { failures, wrong, versions } = await moveUnderCalls(its, { moves: MOVES, callers: 50 });
  assert.deepEqual([failures, wrong], [[], []]);
  assert.ok(versions > 1, "no answer was of another version");
});
