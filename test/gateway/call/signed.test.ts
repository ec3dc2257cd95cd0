/** Functions that take signed URLs alone. */
import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { after, before, describe, it } from "node:test";
import type { Scope } from "../../../functions/model/scopes.ts";
import { addKey } from "../../../functions/store/api-keys.ts";
import { signingKeysKey } from "../../../functions/store/function-keys.ts";
import { createKey } from "../../../functions/store/tenant.ts";
import { deployment, startTestGateway, type TestGateway } from "../../helpers/gateway.ts";
import { runCommand } from "../../helpers/in-process-cli.ts";

interface Seen {
  url: string;
  headers: Record<string, string>;
}

interface Signed {
  url: string;
  sharedUrl: string;
  keyId: string;
  expiresAt: string;
  error: { code: string; message: string };
}

let test: TestGateway;
/** Requests that functions got. */
let seen: Seen[] = [];
before(async () => {
  test = await startTestGateway();
  test.answer = ({ request }) => {
    seen.push({ url: request.url, headers: Object.fromEntries(request.headers) });
    return { body: Buffer.from("hello") };
  };
  for (const name of ["report", "other"]) assert.ok((await test.deploy(name, { access: "signed" })).ok);
});
after(() => test.stop());

async function post(path: string, body: unknown, key = test.key) {
  const response = await fetch(test.url + path, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Signed };
}
const wish = (path: string, more: object) => ({ path, lifetimeMs: 3_600_000, ...more });
const trySigning = (path = "/", more: object = {}, key = test.key, name = "report") =>
  post(`/v1/functions/${name}/signed-urls`, wish(path, more), key);
async function sign(path = "/", more: object = {}, name = "report"): Promise<Signed> {
  const { status, body } = await trySigning(path, more, test.key, name);
  assert.equal(status, 201, JSON.stringify(body));
  return body;
}

/** A request with a target as it is given, byte for byte; gives the code of the answer, or "ok". */
function send(url: string, method = "GET", headers: Record<string, string> = {}, body?: string): Promise<string> {
  const { hostname, port } = new URL(test.url);
  const [, host = "", path = ""] = /^http:\/\/([^/]+)(.*)$/s.exec(url) ?? [];
  return new Promise((resolve, reject) => {
    const options = { hostname, port, path, method, headers: { host, ...headers } };
    const request = httpRequest(options, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => {
        if (response.statusCode === 200) return resolve("ok");
        const text = Buffer.concat(chunks).toString();
        const code = text === "" ? "" : (JSON.parse(text) as Signed).error.code;
        resolve(`${response.statusCode} ${code}`.trim());
      });
    });
    request.on("error", reject);
    request.end(body);
  });
}

const INVALID = "403 SIGNATURE_INVALID";

describe("a signed URL", () => {
  it("calls the function on both of its addresses, which sees nothing of the signature", async () => {
    seen = [];
    const { url, sharedUrl, keyId } = await sign("/a%2Fb/%C3%A9?x=1&y=%26");
    assert.match(url, /^http:\/\/report\.main\.localhost:\d+\/a%2Fb\/%C3%A9\?x=1&y=%26&sp-expires=\d+&sp-key=/);
    for (const one of [url, sharedUrl]) assert.equal(await send(one), "ok");
    assert.deepEqual(
      seen.map((one) => new URL(one.url).pathname + new URL(one.url).search),
      ["/a%2Fb/%C3%A9?x=1&y=%26", "/a%2Fb/%C3%A9?x=1&y=%26"],
    );
    assert.equal(seen[0]?.headers["x-sandpiper-caller"], `signature ${keyId}`);
    assert.ok(!JSON.stringify(seen).includes("sp-"), "no parameter of the signature is anywhere");
  });

  it("hides its parameters from a function that sees the prefix, too", async () => {
    assert.ok((await test.deploy("prefixed", { access: "signed", keepPrefix: true })).ok);
    seen = [];
    assert.equal(await send((await sign("/x?y", {}, "prefixed")).url), "ok");
    assert.equal(new URL(seen[0]?.url ?? "").pathname + new URL(seen[0]?.url ?? "").search, "/fn/main/prefixed/x?y");
  });

  it("lets the fields of its caller be, and the one about the caller be nobody's", async () => {
    seen = [];
    const fields = { authorization: "Bearer mine", "x-sandpiper-caller": "key forged" };
    assert.equal(await send((await sign()).url, "GET", { ...fields, connection: "x-sandpiper-caller" }), "ok");
    assert.equal(seen[0]?.headers.authorization, "Bearer mine");
    assert.match(seen[0]?.headers["x-sandpiper-caller"] ?? "", /^signature /);
  });

  it("is for one method, and HEAD goes with GET alone", async () => {
    const { url } = await sign("/");
    assert.deepEqual(await Promise.all([send(url), send(url, "HEAD")]), ["ok", "ok"]);
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) assert.equal(await send(url, method), INVALID);
    const put = await sign("/", { method: "PUT" });
    assert.equal(await send(put.url, "PUT", {}, "body"), "ok");
    assert.equal(await send(put.url), INVALID);
    assert.equal(await send(put.url, "HEAD"), "403");
  });

  it("is for its path and query as they are, byte for byte", async () => {
    const { url } = await sign("/a?x=1&y=2");
    const to = (from: string, into: string) => url.replace(from, into);
    assert.notEqual(to("/a?", "/b?"), url);
    const changed = [
      to("/a?", "/b?"),
      to("/a?", "/%61?"),
      to("/a?", "/a/?"),
      to("/a?", "//a?"),
      to("x=1&y=2", "y=2&x=1"),
      to("x=1&", ""),
      to("y=2", "y=2&z=3"),
      to("y=2", "y=2&"),
      to("x=1", "x=%31"),
      to("x=1", "X=1"),
      `${url}&z=3`,
      `${url}&`,
    ];
    for (const one of changed) assert.equal(await send(one), INVALID, one);
    assert.equal(await send(to("x=1", "x=\u00e9")), "400 MALFORMED_REQUEST");
    const [head = "", ours = ""] = url.split("&sp-expires");
    assert.equal(
      await send(`${head.replace("?", `?sp-expires${ours}&`)}`),
      "ok",
      "its own may stand before the others",
    );
  });

  it("counts with each of its parameters once, whole and unchanged", async () => {
    const { url } = await sign("/");
    const [plain = "", query = ""] = url.split("?");
    const [expires = "", key = "", signature = ""] = query.split("&");
    const at = (...parts: string[]) => `${plain}?${parts.join("&")}`;
    assert.equal(await send(at(expires, key, signature)), "ok");
    assert.equal(await send(plain), "403 SIGNATURE_MISSING");
    const second = Number(expires.split("=")[1]);
    const changed = [
      at(expires, key),
      at(expires, signature),
      at(key, signature),
      at(expires, key, signature, signature),
      at(expires, key, signature, expires),
      at(`sp-expires=${second + 60}`, key, signature),
      at(`sp-expires=${second + 60}`, expires, key, signature),
      at(`sp-expires=0${second}`, key, signature),
      at(`sp-expires=${second}.0`, key, signature),
      at(`sp-expires=${second}%30`, key, signature),
      at("sp-expires=", key, signature),
      at("sp-expires", key, signature),
      at(expires, "sp-key=current", signature),
      at(expires, "sp-key=000000000000", signature),
      at(expires, key.toUpperCase().replace("SP-KEY", "sp-key"), `${signature}=`),
      at(expires, key, signature.slice(0, -1)),
      at(expires, key, "sp-signature="),
      at(expires, key, `${signature}A`),
      at(expires, key, `${signature.slice(0, -1)}%C3%A9`),
      at(expires, key, signature.replace("sp-signature", "sp%2Dsignature")),
    ];
    for (const one of changed) assert.equal(await send(one), INVALID, one);
  });

  it("is for one function of one tenant", async () => {
    const { url, sharedUrl } = await sign("/");
    await sign("/", {}, "other");
    assert.equal(await send(url.replace("//report.", "//other.")), INVALID);
    assert.equal(await send(sharedUrl.replace("/report/", "/other/")), INVALID);
    const { key } = await createKey(test.connection, "neighbour");
    const deployed = await fetch(`${test.url}/v1/functions/report`, {
      method: "PUT",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify(deployment("report", { access: "signed" })),
    });
    assert.ok(deployed.ok, await deployed.text());
    assert.equal(await send(sharedUrl.replace("/main/", "/neighbour/")), INVALID);
  });

  it("is for the alias or version that it names, and for no other", async () => {
    const { versions } = (await (await test.api("/v1/functions/report/versions")).json()) as {
      versions: { version: string }[];
    };
    const version = versions[0]?.version ?? "";
    const put = await test.api("/v1/functions/report/aliases/staging", {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ routes: [{ version }] }),
    });
    assert.ok(put.ok, await put.text());
    const live = await sign("/");
    const staging = await sign("/", { alias: "staging" });
    assert.equal(await send(live.url), "ok");
    assert.equal(await send(staging.url), "ok");
    assert.equal(await send(staging.sharedUrl), "ok");
    assert.equal(await send((await sign("/", { alias: version.slice(0, 12) })).url), "ok");
    assert.equal(await send(live.url.replace("//report.", "//staging--report.")), INVALID);
    assert.equal(await send(staging.url.replace("//staging--report.", "//report.")), INVALID);
    for (const alias of ["none", "a--b", "report", "../x"]) {
      assert.equal((await trySigning("/", { alias })).body.error.code, "ALIAS_NOT_FOUND", alias);
    }
  });

  it("expires by Redis's clock, and says so only to who had it", async () => {
    const { url } = await sign("/", { lifetimeMs: 1_000 });
    await untilRedisIs(Number(/sp-expires=(\d+)/.exec(url)?.[1]));
    assert.equal(await send(url), "403 SIGNATURE_EXPIRED");
    assert.equal(await send(url.replace("/?", "/a?")), INVALID);
    assert.equal(await send(url, "POST"), INVALID);
  });

  it("is refused before its body is read, and queues nothing", async () => {
    seen = [];
    const { url } = await sign("/", { method: "POST" });
    assert.equal(await send(url.replace("/?", "/a?"), "POST", {}, "x".repeat(2 * 1024 * 1024)), INVALID);
    assert.equal(await send(url, "POST", {}, "x".repeat(2 * 1024 * 1024)), "413 BODY_TOO_LARGE");
    assert.deepEqual(seen, []);
  });
});

/** Waits until Redis's clock is there. */
async function untilRedisIs(second: number): Promise<void> {
  while (Number((await test.connection.time())[0]) < second);
}

describe("signing", () => {
  it("takes a key that may call, for functions that it sees", async () => {
    const keyOf = async (scopes: Scope[], functions: string[] | null = null) =>
      (await addKey(test.connection, "main", { scopes, functions })).key;
    assert.equal((await trySigning("/", {}, await keyOf(["invoke"]))).status, 201);
    assert.equal((await trySigning("/", {}, await keyOf(["invoke"], ["report"]))).status, 201);
    const refused = await trySigning("/", {}, await keyOf(["read", "deploy"]));
    assert.deepEqual([refused.status, refused.body.error.code], [403, "FORBIDDEN"]);
    const unseen = await trySigning("/", {}, await keyOf(["invoke"], ["other"]));
    const none = await trySigning("/", {}, await keyOf(["invoke"]), "nothing");
    assert.deepEqual([unseen.body.error.code, none.body.error.code], ["FUNCTION_NOT_FOUND", "FUNCTION_NOT_FOUND"]);
  });

  it("refuses what no client would send so, more than 7 days, and functions of another access", async () => {
    const refusals: [string, object, RegExp][] = [
      ["/a/../b", {}, /clients would send "\/b"/],
      ["/\u00e9", {}, /clients would send "\/%C3%A9"/],
      ["/a b", {}, /clients would send/],
      ["/a#b", {}, /clients would send "\/a"/],
      ["//evil\r\nx: y", {}, /clients would send/],
      ["a", {}, /begins with/],
      [`/${"a".repeat(8_192)}`, {}, /at most 8192/],
      ["/?sp-key=1", {}, /the signature's own/],
      ["/?sp%2Dkey=1", {}, /the signature's own/],
      ["/", { lifetimeMs: 604_800_001 }, /at most 7 days/],
      ["/", { lifetimeMs: 0 }, /lifetimeMs/],
      ["/", { method: "TRACE" }, /a method/],
      ["/", { method: "get" }, /a method/],
    ];
    for (const [path, more, message] of refusals) {
      const { status, body } = await trySigning(path, more);
      assert.deepEqual([status, body.error.code], [400, "INVALID_REQUEST"], path);
      assert.match(body.error.message, message);
    }
    const { body } = await trySigning("/", {}, test.key, "hello");
    assert.match(body.error.message, /The access of hello is not "signed"/);
    assert.equal((await trySigning("/", { lifetimeMs: 604_800_000 })).status, 201);
  });

  it("keeps one key for calls that need the first one at once", async () => {
    assert.ok((await test.deploy("first", { access: "signed" })).ok);
    const signed = await Promise.all(Array.from({ length: 8 }, () => sign("/", {}, "first")));
    assert.equal(new Set(signed.map(({ keyId }) => keyId)).size, 1);
    for (const { url } of signed) assert.equal(await send(url), "ok");
  });

  it("keeps no key in clear, and none of a function that is deleted", async () => {
    assert.ok((await test.deploy("gone", { access: "signed" })).ok);
    const before = await sign("/", {}, "gone");
    const key = signingKeysKey({ tenant: "main", functionName: "gone" });
    const stored = JSON.parse((await test.connection.hget(key, before.keyId)) ?? "") as object;
    assert.deepEqual(Object.keys(stored), ["sealed"]);
    assert.match(JSON.stringify(stored), /"sp1\./);
    assert.ok((await test.api("/v1/functions/gone", { method: "DELETE" })).ok);
    assert.equal(await test.connection.exists(key), 0);
    assert.ok((await test.deploy("gone", { access: "signed" })).ok);
    assert.equal(await send(before.url), INVALID);
  });
});

describe("a new signing key", () => {
  const rotate = (body: object, key = test.key) => post("/v1/functions/report/signing-key/rotate", body, key);

  it("lets URLs of before be until they expire, or ends them at once", async () => {
    const first = await sign("/");
    const rotated = await rotate({});
    assert.equal(rotated.status, 201);
    const second = await sign("/");
    assert.equal(second.keyId, rotated.body.keyId);
    assert.notEqual(second.keyId, first.keyId);
    assert.deepEqual([await send(first.url), await send(second.url)], ["ok", "ok"]);
    assert.equal((await rotate({ overlapMs: 0 })).status, 201);
    assert.deepEqual([await send(first.url), await send(second.url)], [INVALID, INVALID]);
    assert.equal(await send((await sign("/")).url), "ok");
  });

  it("ends those of before when their overlap is over", async () => {
    const { url } = await sign("/");
    const { body } = await rotate({ overlapMs: 1_000 });
    const oldEndAt = (body as unknown as { oldEndAt: string }).oldEndAt;
    await untilRedisIs(Math.ceil(Date.parse(oldEndAt) / 1_000));
    assert.equal(await send(url), INVALID);
    await rotate({});
    const key = signingKeysKey({ tenant: "main", functionName: "report" });
    assert.equal(await test.connection.hexists(key, /sp-key=(\w+)/.exec(url)?.[1] ?? ""), 0, "and they are removed");
  });

  it("is refused when too many before it count, and takes the scope deploy", async () => {
    await rotate({ overlapMs: 0 });
    for (let count = 1; count < 16; count++) assert.equal((await rotate({})).status, 201);
    assert.equal((await rotate({})).body.error.code, "INVALID_REQUEST");
    assert.equal((await rotate({ overlapMs: 0 })).status, 201);
    const { key } = await addKey(test.connection, "main", { scopes: ["invoke"], functions: null });
    assert.equal((await rotate({}, key)).body.error.code, "FORBIDDEN");
    const audit = (await (await test.api("/v1/audit")).json()) as { entries: { action: string }[] };
    assert.ok(audit.entries.some(({ action }) => action === "signing-key.rotate"));
  });
});

describe("the command line", () => {
  const env = () => ({ SANDPIPER_URL: test.url, SANDPIPER_API_KEY: test.key });
  const run = (...args: string[]) => runCommand(args, { cwd: "/", env: env() });

  it("prints a URL, and calls by one", async () => {
    const signed = await run("sign", "report", "/\u00e9?x=\u00e4", "--expires", "10m", "--method", "post");
    assert.equal(signed.code, 0, signed.stderr);
    assert.equal(await send(signed.stdout.trim(), "POST", {}, "x"), "ok");
    assert.match(signed.stderr, /may call report by POST until 20/);
    const invoked = await run("invoke", "report", "--path", "/x?y=1", "--data", "{}");
    assert.deepEqual([invoked.code, invoked.stdout], [0, "hello"], invoked.stderr);
  });

  it("replaces the key", async () => {
    const { stdout } = await run("sign", "report");
    assert.equal((await run("sign", "report", "--rotate")).code, 0);
    assert.equal(await send(stdout.trim()), "ok");
    assert.match((await run("sign", "report", "--rotate", "--now")).stderr, /no URL of before counts any more/);
    assert.equal(await send(stdout.trim()), INVALID);
  });

  it("says what does not go together", async () => {
    for (const args of [["--now"], ["/x", "--rotate"], ["--rotate", "--expires", "1h"], ["--expires", "soon"]]) {
      assert.equal((await run("sign", "report", ...args)).code, 2, args.join(" "));
    }
  });
});

it("leaves no signature in what is logged", () => {
  for (const line of [...test.logged, ...test.accessed]) assert.ok(!line.includes("sp-"), line);
});
