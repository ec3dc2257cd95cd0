/**
 * Bad input to the control API, with a key that may do everything: each has a 4xx with a code and a
 * message, and stores nothing, which the keys of Redis with their contents show.
 */
import assert from "node:assert/strict";
import { request } from "node:http";
import { after, before, it } from "node:test";
import { makeOperatorKey } from "../../../functions/store/tenant.ts";
import { deployment, startTestGateway, type TestGateway } from "../../helpers/gateway.ts";

let test: TestGateway;
/** Two versions of the function `own`. */
let versions: [string, string];
before(async () => {
  test = await startTestGateway();
  await makeOperatorKey(test.connection, test.key.split("_")[1] ?? "");
  const both = [1, 2].map((number) =>
    json("PUT", "/v1/functions/own", deployment("own", { timeoutMs: number * 1_000 })),
  );
  const texts = (await Promise.all(both)).map(({ text }) => JSON.parse(text));
  versions = [texts[0].version, texts[1].version];
  const { build, check, answer } = test;
  test.build = (asked) => noted(() => build(asked));
  test.check = (asked) => noted(() => check(asked));
  test.answer = (...call) => noted(() => answer(...call));
});

/** How many builds, checks and calls a worker has had. */
let workDone = 0;
function noted<T>(work: () => T): T {
  workDone += 1;
  return work();
}

after(() => test.stop());

interface Answer {
  status: number;
  text: string;
}

/** A request whose path and body go as they are; `fetch` would tidy up. */
function raw(
  method: string,
  path: string,
  body: string | Uint8Array | undefined,
  fields: Record<string, string> = {},
): Promise<Answer> {
  const { port } = new URL(test.url);
  const headers = { authorization: `Bearer ${test.key}`, "content-type": "application/json", ...fields };
  return new Promise((resolve, reject) => {
    const sent = request({ port, method, path, headers, agent: false }, async (response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk as Buffer);
      resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() });
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

const json = (method: string, path: string, body?: unknown, fields = {}): Promise<Answer> =>
  raw(method, path, body === undefined ? undefined : JSON.stringify(body), fields);

/**
 * Keys of Redis that change by themselves: signs of life, when API keys were used, what BullMQ
 * counts, and the log of acts, which has refused ones, too.
 */
const NOT_INPUT = /^sp:(?:canary:|writable$|workers?\b|slots$|direct:|apikeys:|audit:|operatoraudit$|queue:)/;

/** All that is stored. */
async function stored(): Promise<Map<string, string>> {
  const keys = (await test.connection.keys("*")).filter((key) => !NOT_INPUT.test(key)).sort();
  const dumps = await Promise.all(keys.map((key) => test.connection.dumpBuffer(key)));
  return new Map(keys.map((key, index) => [key, dumps[index]?.toString("base64") ?? ""]));
}

/** The keys that are not in both with the same contents. */
function differing(one: Map<string, string>, other: Map<string, string>): string[] {
  return [...new Set([...one.keys(), ...other.keys()])].filter((key) => one.get(key) !== other.get(key));
}

/** Sees that the request is refused, and that nothing is stored by it. */
async function refused(
  method: string,
  path: string,
  body: unknown,
  fields: Record<string, string> = {},
): Promise<void> {
  const before = await stored();
  const isPlain = body === undefined || typeof body === "string" || body instanceof Uint8Array;
  const answer = await raw(method, path, isPlain ? body : JSON.stringify(body), fields);
  const said = `${method} ${path} ${JSON.stringify(fields)} ${String(JSON.stringify(body)).slice(0, 200)}: ${answer.status} ${answer.text}`;
  assert.ok(answer.status >= 400 && answer.status < 500, said.slice(0, 1_000));
  assert.match(answer.text, /^\{/, said);
  const { error } = JSON.parse(answer.text);
  assert.ok(error.code && error.message && error.requestId, said.slice(0, 1_000));
  assert.ok(answer.text.length < 4_000, "the answer has what was sent");
  assert.deepEqual(differing(await stored(), before), [], said.slice(0, 1_000));
  assert.equal(workDone, 0, said.slice(0, 1_000));
}

const NAMES = {
  slash: "a/b",
  up: "../b",
  dots: "..",
  dot: "a.b",
  NUL: "a\0b",
  CRLF: "a\r\nb",
  colon: "a:b",
  Cyrillic: "оwn",
  fullwidth: "ｏwn",
  "zero width": "own\u200b",
  "dotless i": "ı",
  capitals: "OWN",
  space: "a b",
  "space at its end": "own ",
  "hyphen first": "-a",
  "hyphen last": "a-",
  percent: "%41",
  glob: "*",
  braces: "{own}",
  long: "a".repeat(64),
  "very long": "a".repeat(5_000),
  prototype: "__proto__",
  "surrogate alone": "a\ud800",
} as const;

/** The form in a path. A lone surrogate has none in UTF-8, so its bytes stand for themselves. */
function inPath(name: string): string {
  return encodeURIComponent(name.replaceAll("\ud800", "%ED%A0%80")).replaceAll(".", "%2E");
}

for (const [kind, name] of Object.entries(NAMES)) {
  it(`is refused in names: ${kind}`, async () => {
    const own = inPath(name);
    const routes = { routes: [{ version: versions[0] }] };
    await refused("PUT", `/v1/functions/${own}`, deployment(name));
    await refused("PUT", "/v1/functions/own", deployment(name));
    await refused("PUT", `/v1/functions/${own}/hold`, { holder: crypto.randomUUID(), ttlMs: 60_000 });
    await refused("PUT", `/v1/functions/own/aliases/${own}`, routes);
    await refused("POST", `/v1/functions/${own}/events`, {});
    await refused("POST", `/v1/functions/${own}/signed-urls`, { path: "/", lifetimeMs: 60_000 });
    await refused("POST", `/v1/functions/${own}/signing-key/rotate`, { overlapMs: 0 });
    await refused("POST", "/v1/functions/own/rollback", { version: name });
    await refused("POST", "/v1/functions/own/promote", { from: name });
    await refused("PUT", "/v1/functions/own/aliases/x", { routes: [{ version: name }] });
    await refused("POST", "/v1/tenants", { tenant: name });
    await refused("POST", `/v1/tenants/${own}/suspend`, undefined);
    await refused("DELETE", `/v1/tenants/${own}`, undefined);
    await refused("POST", `/v1/keys?tenant=${own}`, { scopes: ["read"] });
    await refused("POST", "/v1/keys", { scopes: ["read"], functions: [name] });
    await refused("POST", `/v1/quotas/${own}`, { limits: { callsPerSecond: 1 } });
    await refused("POST", "/v1/quotas/main", { function: name, limits: { callsPerSecond: 1 } });
    await refused("POST", `/v1/egress/${own}`, { list: "allow", add: ["example.com:443"] });
    await refused("PUT", `/v1/secrets/GOLD?function=${own}`, { value: "gold" });
    for (const rest of ["", "/logs", "/versions", "/history", "/aliases", "/aliases/live"]) {
      await refused("GET", `/v1/functions/${own}${rest}`, undefined);
    }
  });
}

it("is refused in names of secrets, which are those of variables", async () => {
  const names: string[] = Object.values(NAMES).filter(
    (name) => !/^(?:OWN|__proto__|a+)$/.test(name) || name.length > 128,
  );
  for (const name of [...names, "1A", "A-B", "A=B"])
    await refused("PUT", `/v1/secrets/${inPath(name)}`, { value: "v" });
});

it("is refused in shares", async () => {
  const two = (one: unknown, other: unknown) => ({
    routes: [
      { version: versions[0], percent: one },
      { version: versions[1], percent: other },
    ],
  });
  const bad = [0, -1, 101, 1.5, 1e9, 1e308, "50", "", null, true, [], {}, "NaN", "Infinity"];
  for (const percent of bad) {
    await refused("PUT", "/v1/functions/own/aliases/x", two(percent, 50));
    await refused("PUT", "/v1/functions/own/aliases/x", { routes: [{ version: versions[0], percent }] });
    await refused("PUT", "/v1/functions/own", { ...deployment("own", { timeoutMs: 9 }), canary: { percent } });
  }
  const sums = [
    [90, 20],
    [50, 49],
    [1, 1],
    [100, 100],
    [-50, 150],
  ] as const;
  for (const [one, other] of sums) await refused("PUT", "/v1/functions/own/aliases/x", two(one, other));
  for (const number of ["NaN", "Infinity", "-0", "1e400", "0x32", "050", "+50", ".5e2"]) {
    const text = JSON.stringify(two("HERE", 50)).replace('"HERE"', number);
    await refused("PUT", "/v1/functions/own/aliases/x", text);
  }
});

it("is refused in bodies that are no JSON of the right shape", async () => {
  const path = "/v1/functions/own/rollback";
  const deep = (depth: number, inner: string) => `${'{"a":'.repeat(depth)}${inner}${"}".repeat(depth)}`;
  const texts = [
    ...["", " ", "null", "[]", '"text"', "1", "true", "{", '{"version":', "\0", "{}{}", "{'version':'a'}"],
    ...['{"version":"x",}', "\ufeff{}x", '{"version":["a"]}', '{"version":{"toString":"a"}}', '{"nothing":1}'],
    ...[
      '{"__proto__":{"version":"x"}}',
      '{"constructor":{"prototype":{"version":"x"}}}',
      '{"version":"x","__proto__":1}',
    ],
    // Of the same name twice, the last one counts, and is wrong here.
    '{"version":"aaaaaa","version":"a/b"}',
    ...[deep(17, "1"), deep(1_000, "1"), "[".repeat(1_500), `{"version":${JSON.stringify("x".repeat(7_000))}}`],
    JSON.stringify({ message: "x".repeat(501) }),
    JSON.stringify({ message: "x".repeat(9_000) }),
  ];
  for (const text of texts) await refused("POST", path, text);
  const large = deep(10_000, "1");
  await refused("PUT", "/v1/functions/own", large);
  await refused("PUT", "/v1/functions/own", "[".repeat(100_000));
  await refused("POST", path, new Uint8Array([0x7b, 0xff, 0xfe, 0x7d]));
});

it("is refused in bodies that say that they are something else", async () => {
  const body = deployment("own", { timeoutMs: 9 });
  for (const type of [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "application/xml",
    "",
  ]) {
    await refused("PUT", "/v1/functions/own", body, { "content-type": type });
  }
  await refused("PUT", "/v1/functions/own", body, { "content-encoding": "gzip" });
  await refused("POST", "/v1/functions/own/events", {}, { "content-encoding": "br" });
  await refused("POST", "/v1/sources", "no tree", { "content-type": "application/octet-stream" });
});

it("is refused in configurations, with names of what every object has", async () => {
  const config = (more: string) =>
    JSON.stringify(deployment("own", { timeoutMs: 9, HERE: 1 })).replace('"HERE":1', more);
  for (const more of [
    ...['"__proto__":{"timeoutMs":1}', '"constructor":{}', '"toString":1', '"hasOwnProperty":1'],
    ...['"env":{"A":1}', '"env":{"a b":"x"}', '"env":{"":"x"}', '"env":{"A=B":"x"}', '"env":{"A":"a\\u0000b"}'],
    ...['"access":"nobody"', '"access":{"jwt":{}}', '"timeoutMs":1e9', '"timeoutMs":"9"', '"name":"other"'],
  ]) {
    await refused("PUT", "/v1/functions/own", config(more));
  }
});

it("is refused in paths that are spelt in another way", async () => {
  const body = deployment("own", { timeoutMs: 9 });
  for (const path of [
    ...["/v1/functions/own/", "//v1/functions/own", "/v1//functions/own", "/V1/functions/own"],
    ...["/v1%2Ffunctions%2Fown", "/v1/functions%2Fown"],
    ...["/v1/functions/own%00", "/v1/functions/own%20", "/v1/functions/own%0d%0a", "/v1/functions/own;x=1"],
    ...[
      "/v1/functions/%256fwn",
      "/v1/functions/%u006fwn",
      "/v1/functions/own%",
      "/v1/functions/own%zz",
      "/v1/functions/%c0%af",
    ],
    ...["/v1/functions/own%23", "/v1/functions/own%3Fx", "/v1/functions/own\\x"],
  ]) {
    await refused("PUT", path, body);
  }
});

it("is refused in keys, all in the same words", async () => {
  const [kind, id = "", ...secret] = test.key.split("_");
  const whole = secret.join("_");
  const key = (one: string, other: string) => `Bearer ${kind}_${one}_${other}`;
  const wrong = [
    ...["", "Bearer", "Bearer ", test.key, `Basic ${btoa(`x:${test.key}`)}`, `Bearer ${test.key} ${test.key}`],
    ...[key(id, whole.slice(1)), key(id, `${whole}A`), key(id, whole.slice(0, -1)), key(id, ""), key("", whole)],
    ...[key(id.slice(1), whole), key(`${id}0`, whole), key(id.toUpperCase(), whole), key(`${"0".repeat(12)}`, whole)],
    ...[key(id, "A".repeat(43)), key(id, `${whole}=`), key(id, "A".repeat(10_000)), `Bearer sp-${id}-${whole}`],
    ...[key(id, whole.replace(/.$/, "\u00e9")), `Bearer\t${test.key}`, `${test.key} Bearer`],
  ];
  const answers = new Set<string>();
  for (const authorization of wrong) {
    await refused("PUT", "/v1/functions/own", deployment("own"), { authorization });
    const { status, text } = await json("GET", "/v1/whoami", undefined, { authorization });
    answers.add(`${status} ${text.replace(/"requestId":"[^"]+"/, "")}`);
  }
  assert.deepEqual(
    [...answers].map((answer) => answer.slice(0, 3)),
    ["401"],
  );
});

it("is refused in preconditions", async () => {
  const body = deployment("own", { timeoutMs: 9 });
  for (const etag of ["1", 'W/"1"', '"x"', '"1", "2"', '"1', "", '"-1"', '"1e9"', `"${"9".repeat(400)}"`]) {
    await refused("PUT", "/v1/functions/own", body, { "if-match": etag });
  }
  for (const etag of ['"1"', "none", ""]) await refused("PUT", "/v1/functions/own", body, { "if-none-match": etag });
  await refused("PUT", "/v1/functions/absent", deployment("absent"), { "if-match": '"1"' });
  await refused("PUT", "/v1/functions/absent", deployment("absent"), { "if-match": "*" });
  await refused("DELETE", "/v1/functions/own/aliases/absent", undefined, { "if-match": '"1"' });
});

it("does not stop deployments at once: all answer, one is live, and the history leads there", async () => {
  const numbers = Array.from({ length: 8 }, (_, index) => 10 + index);
  const answers = await Promise.all(
    numbers.map((timeoutMs) => json("PUT", "/v1/functions/together", deployment("together", { timeoutMs }))),
  );
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 200, 200, 200, 200, 200, 200, 201]);
  const deployed = answers.map(({ text }) => JSON.parse(text).version);
  const { entries } = JSON.parse((await json("GET", "/v1/functions/together/history")).text);
  const targets = entries.map(({ after }: { after: { routes: { version: string }[] } }) => after.routes[0]?.version);
  assert.deepEqual([...targets].sort(), [...deployed].sort());
  // Each move began where the one before it led.
  for (let at = 0; at + 1 < entries.length; at++) assert.deepEqual(entries[at].before, entries[at + 1].after);
  assert.equal(entries.at(-1).before, null);
  const { version } = JSON.parse((await json("GET", "/v1/functions/together")).text);
  assert.equal(version, targets[0]);
});
