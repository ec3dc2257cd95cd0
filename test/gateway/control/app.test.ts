import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, beforeEach, describe, it } from "node:test";
import { z } from "zod";
import type { BuildRequest, BuildResult } from "../../../functions/model/build.ts";
import type { InvocationRecord, LogRecord } from "../../../functions/model/invocation.ts";
import { unpackSources } from "../../../functions/model/sources.ts";
import { FileArtifactStore } from "../../../functions/store/artifacts.ts";
import { appendLogs, recordInvocation } from "../../../functions/store/logs.ts";
import { createKey } from "../../../functions/store/tenant.ts";
import { storeSpans } from "../../../functions/store/traces.ts";
import { beat } from "../../../functions/store/workers.ts";
import { eventually } from "../../helpers/eventually.ts";
import { deployment, RawClient, startTestGateway, type TestGateway } from "../../helpers/gateway.ts";

let test: TestGateway;
let artifacts: FileArtifactStore;
const BUILT = async (): Promise<BuildResult> => ({
  ok: true,
  bundle: await artifacts.put(Buffer.from("bundle")),
  sourceMap: await artifacts.put(Buffer.from("map")),
  bundleBytes: 6,
  warnings: [],
});
before(async () => {
  test = await startTestGateway();
  artifacts = new FileArtifactStore(test.artifactsDir);
});
after(() => test.stop());
beforeEach(() => {
  test.build = BUILT;
});

const errorSchema = z.object({ error: z.object({ code: z.string(), message: z.string(), requestId: z.string() }) });

async function failure(response: Response): Promise<{ status: number; code: string; message: string }> {
  const { error } = errorSchema.parse(await response.json());
  assert.equal(error.requestId, response.headers.get("x-request-id"));
  return { status: response.status, code: error.code, message: error.message };
}

function put(name: string, body: unknown): Promise<Response> {
  return test.api(`/v1/functions/${name}`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

describe("a request without a valid key", () => {
  it("is refused by every route but those that are open", async () => {
    const document = (await (await fetch(`${test.url}/v1/openapi.json`)).json()) as { paths: Record<string, object> };
    const open = new Set(["/healthz", "/readyz", "/v1/openapi.json", "/v1/domains/check"]);
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const method of Object.keys(methods)) {
        const url = test.url + path.replaceAll(/\{\w+\}/g, "x");
        const init = { method: method.toUpperCase(), headers: { authorization: "Bearer sp_0_0" } };
        const { status } = await fetch(url, init);
        assert.equal(status === 401, !open.has(path), `${method} ${path} gave ${status}`);
      }
    }
  });

  it("is told how to ask", async () => {
    for (const authorization of [
      "",
      "Basic eDp5",
      test.key,
      `Bearer ${test.key}x`,
      `Bearer  ${test.key.slice(0, -1)}`,
    ]) {
      const response = await fetch(`${test.url}/v1/whoami`, { headers: { authorization } });
      assert.equal(response.headers.get("www-authenticate"), "Bearer");
      assert.deepEqual((await failure(response)).code, "UNAUTHENTICATED");
    }
  });
});

it("says whose key it is", async () => {
  const whoami = (await (await test.api("/v1/whoami")).json()) as Record<string, unknown>;
  const keyId = test.key.split("_")[1];
  assert.deepEqual(whoami, {
    tenant: "main",
    keyId,
    publicUrl: test.url,
    operator: false,
    scopes: ["admin"],
    functions: null,
    expiresAt: null,
  });
});

describe("a deployment", () => {
  it("is built from exactly what was uploaded, without the values of env", async () => {
    const asked = Promise.withResolvers<[BuildRequest, Buffer | null]>();
    test.build = async (request) => {
      asked.resolve([request, await artifacts.sourcesOf("main").get(request.sourceDigest)]);
      return { ...(await BUILT()), warnings: ["unused import"] } as BuildResult;
    };
    const files = { "src/index.ts": "export default 1", "src/\u00e9.bin": "\xff\0", __proto__x: "" };
    const response = await put("exact", {
      config: { name: "exact", timeoutMs: 5_000, env: { SECRET: "hunter2" } },
      entry: "src/index.ts",
      files: Object.entries(files).map(([path, text]) => ({
        path,
        contentBase64: Buffer.from(text, "latin1").toString("base64"),
      })),
    });
    assert.equal(response.status, 201);
    const { version, ...rest } = (await response.json()) as Record<string, unknown>;
    assert.match(String(version), /^[0-9a-f]{64}$/);
    assert.deepEqual(rest, {
      name: "exact",
      url: `http://exact.main.localhost:${test.gateway.port}`,
      sharedUrl: `${test.url}/fn/main/exact`,
      versionUrl: `http://${String(version).slice(0, 12)}--exact.main.localhost:${test.gateway.port}`,
      percent: 100,
      created: true,
      bundleBytes: 6,
      handler: "fetch",
      warnings: ["unused import"],
      egress: { added: [], removed: [] },
      contents: null,
      changes: null,
    });
    const [request, packed] = await asked.promise;
    // No value of `env` goes with it, but the one that decides over a bundle.
    assert.deepEqual(Object.keys(request).sort(), [
      ...["directory", "entry", "external", "functionName", "included", "nodeEnv", "sourceDigest", "tenant"],
    ]);
    assert.equal(request.entry, "src/index.ts");
    const unpacked = unpackSources(packed ?? Buffer.alloc(0));
    assert.deepEqual(
      unpacked.map(({ path, bytes }) => [path, Buffer.from(bytes).toString("latin1")]),
      Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1)),
    );
  });

  it("of what is there already builds nothing, and of anything else builds again", async () => {
    let builds = 0;
    test.build = async () => {
      builds++;
      return BUILT();
    };
    const first = (await (await put("same", deployment("same"))).json()) as { version: string };
    const again = await put("same", deployment("same"));
    assert.equal(again.status, 200);
    const { version, created } = (await again.json()) as { version: string; created: boolean };
    assert.deepEqual([version, created, builds], [first.version, false, 1]);
    await put("same", deployment("same", { timeoutMs: 77 }));
    assert.equal(builds, 2);
    await put("same", deployment("same"));
    assert.equal(builds, 2);
    assert.equal(((await (await test.api("/v1/functions/same")).json()) as { version: string }).version, version);
  });

  it("of a tenant waits for the tenant's last one, and no other tenant's does", async () => {
    const { key } = await createKey(test.connection, "patient");
    const [began, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const order: string[] = [];
    test.build = async ({ tenant, functionName }) => {
      order.push(`${tenant}/${functionName}`);
      began.resolve();
      if (functionName === "one") await released.promise;
      return functionName === "one" ? { ok: false, cause: "sources", message: "wrong" } : BUILT();
    };
    const one = put("one", deployment("one"));
    await began.promise;
    const two = put("two", deployment("two"));
    const theirs = test.api("/v1/functions/theirs", {
      method: "PUT",
      body: JSON.stringify(deployment("theirs")),
      headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
    });
    while ((await test.connection.llen("sp:queue:builds:wait")) === 0);
    released.resolve();
    assert.deepEqual([(await one).status, (await two).status, (await theirs).status], [422, 201, 201]);
    assert.deepEqual(order, ["main/one", "patient/theirs", "main/two"]);
  });

  it("that does not build says so in the bundler's words, and changes nothing", async () => {
    await put("broken", deployment("broken"));
    const before = await (await test.api("/v1/functions/broken")).json();
    test.build = async () => ({ ok: false, cause: "sources", message: "index.ts:1:5: expected ;\n  let x y\n      ^" });
    const answer = await failure(await put("broken", deployment("broken", { timeoutMs: 1 })));
    assert.deepEqual(answer, {
      status: 422,
      code: "BUILD_FAILED",
      message: "index.ts:1:5: expected ;\n  let x y\n      ^",
    });
    assert.deepEqual(await (await test.api("/v1/functions/broken")).json(), before);
  });

  it("that a busy machine could not build is no fault of its sources", async () => {
    test.build = async () => ({ ok: false, cause: "machine", message: "The machine is too busy." });
    const answer = await failure(await put("busy", deployment("busy")));
    assert.deepEqual(answer, { status: 503, code: "BUILD_UNAVAILABLE", message: "The machine is too busy." });
  });

  it("may hold whatever JSON's strings may", async () => {
    const contentBase64 = Buffer.from("export default () => new Response('[[[[');").toString("base64");
    const odd = { path: `${"[".repeat(20)}{,\\"`, contentBase64 };
    const answer = await failure(await put("a", { ...deployment("a"), files: [odd] }));
    assert.deepEqual([answer.status, answer.code], [400, "INVALID_SOURCE"], answer.message);
  });

  it("is refused with the field that is wrong", async () => {
    const file = { path: "index.ts", contentBase64: "" };
    for (const [name, body, status, code, pattern] of [
      ["Bad", deployment("Bad"), 400, "INVALID_NAME", /name: 1 to 63/],
      ["a", deployment("b"), 400, "INVALID_CONFIG", /"b".*"a"/],
      ["a", deployment("a", { memoryMiB: 100 }), 400, "INVALID_CONFIG", /config\.memoryMiB/],
      ["a", deployment("a", { timeoutMs: 0 }), 400, "INVALID_CONFIG", /config\.timeoutMs/],
      ["a", deployment("a", { env: { "1": "x" } }), 400, "INVALID_CONFIG", /config\.env\.1/],
      ["a", deployment("a", { surprise: 1 }), 400, "INVALID_CONFIG", /surprise/],
      ["a", deployment("a", { egress: ["x:25"] }), 400, "INVALID_CONFIG", /config\.egress\.0: port 25 is refused/],
      [
        "a",
        deployment("a", { egress: [{ to: "b.com", inject: { "A B": "" } }] }),
        ...([
          400,
          "INVALID_CONFIG",
          /config\.egress\.0\.inject\.A B: the name "A B" cannot be used: .*letters/,
        ] as const),
      ],
      ["a", '{"config":{"name":"a","__proto__":{}},"entry":"x","files":[]}', 400, "INVALID_REQUEST", /__proto__/],
      ["a", { ...deployment("a"), entry: "*.ts" }, 400, "INVALID_SOURCE", /"\*\.ts" has a "\*"/],
      ["a", { ...deployment("a"), entry: "other.ts" }, 400, "INVALID_SOURCE", /"other\.ts" is not among/],
      ["a", { ...deployment("a"), files: [] }, 400, "INVALID_REQUEST", /files/],
      ["a", { ...deployment("a"), files: [file, file] }, 400, "INVALID_SOURCE", /twice/],
      [
        "a",
        { ...deployment("a"), files: [file, { path: "../x", contentBase64: "" }] },
        400,
        "INVALID_SOURCE",
        /"\.\."/,
      ],
      ["a", { ...deployment("a"), files: [{ ...file, contentBase64: "%%" }] }, 400, "INVALID_SOURCE", /not base64/],
      ["a", { ...deployment("a"), files: [{ path: 1 }] }, 400, "INVALID_REQUEST", /files\.0\.path/],
      ["a", "{", 400, "INVALID_REQUEST", /JSON/],
      ["a", "null", 400, "INVALID_REQUEST", /./],
      ["a", "[]", 400, "INVALID_REQUEST", /./],
      ["a", "[".repeat(1_000_000), 400, "INVALID_REQUEST", /nested more than 16 deep/],
      ["a", `["\\\\",${"0,".repeat(1_000_000)}0]`, 400, "INVALID_REQUEST", /more than 50000 values/],
      ["a", " ".repeat(2_100_000), 400, "INVALID_REQUEST", /more than 2000000 bytes beside its texts/],
      ["a", `"${'\\"'.repeat(2_100_000)}"`, 400, "INVALID_REQUEST", /more than 2000000 bytes beside its texts/],
      ["a", `"${"a".repeat(2_100_000)}"`, 400, "INVALID_REQUEST", /expected object/],
      ["a", deployment("a", { ["x".repeat(100_000)]: 1 }), 400, "INVALID_CONFIG", /^.{900,1100}$/s],
    ] as const) {
      const answer = await failure(await put(name, body));
      assert.deepEqual([answer.status, answer.code], [status, code], answer.message);
      assert.match(answer.message, pattern);
    }
    assert.equal((await failure(await test.api("/v1/functions/a"))).status, 404);
  });

  it("is refused before it is read when it is too large", async () => {
    const client = new RawClient(test.url);
    client.send(
      `PUT /v1/functions/a HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${test.key}\r\ncontent-type: application/json\r\n` +
        "content-length: 100000000\r\n\r\n",
    );
    assert.match(await client.until(/\}\}$/), /^HTTP\/1.1 413 [\s\S]*BODY_TOO_LARGE/);
    client.close();
  });
});

describe("functions", () => {
  it("are listed and shown with everything but secrets", async () => {
    await put("shown", deployment("shown", { env: { SECRET: "hunter2" }, memoryMiB: 64 }));
    const text = await (await test.api("/v1/functions")).text();
    assert.doesNotMatch(text, /hunter2/);
    const { functions } = JSON.parse(text) as { functions: { name: string }[] };
    const names = functions.map(({ name }) => name);
    assert.deepEqual(names, [...names].sort());
    const info = (await (await test.api("/v1/functions/shown")).json()) as Record<string, unknown>;
    assert.deepEqual(
      functions.find(({ name }) => name === "shown"),
      info,
    );
    const { version, createdAt, updatedAt, ...rest } = info;
    for (const time of [createdAt, updatedAt]) assert.equal(new Date(String(time)).toISOString(), time);
    assert.match(String(version), /^[0-9a-f]{64}$/);
    assert.deepEqual(rest, {
      name: "shown",
      tenant: "main",
      url: `http://shown.main.localhost:${test.gateway.port}`,
      sharedUrl: `${test.url}/fn/main/shown`,
      config: {
        ...{ name: "shown", entry: "index.ts", memoryMiB: 64, timeoutMs: 10_000, isolation: "instance" },
        env: { SECRET: "***" },
      },
      noTemplateReason: null,
      warm: null,
      reservedSlots: null,
      held: false,
      domains: [],
      routes: [],
      entry: "index.ts",
      handler: "fetch",
      warnings: [],
      bundleBytes: 6,
      files: [{ path: "index.ts", bytes: 35 }],
    });
  });

  it("are gone when deleted, with their log", async () => {
    await put("gone", deployment("gone"));
    await appendLogs(test.connection, { tenant: "main", functionName: "gone" }, [line("x")]);
    assert.equal((await test.api("/v1/functions/gone", { method: "DELETE" })).status, 204);
    assert.equal(
      (await failure(await test.api("/v1/functions/gone", { method: "DELETE" }))).code,
      "FUNCTION_NOT_FOUND",
    );
    assert.equal((await failure(await test.api("/v1/functions/gone"))).code, "FUNCTION_NOT_FOUND");
    assert.equal((await failure(await test.api("/v1/functions/gone/logs"))).code, "FUNCTION_NOT_FOUND");
    // Its versions stay for as long as a call may wait.
    assert.deepEqual(await test.connection.keys("*gone*"), ["sp:deletedversions:main:gone"]);
  });

  it("are nobody's but their tenant's", async () => {
    await put("mine", deployment("mine"));
    const { key } = await createKey(test.connection, "other");
    const headers = { authorization: `Bearer ${key}` };
    for (const [method, path] of [
      ["GET", ""],
      ["DELETE", ""],
      ["GET", "/logs"],
    ]) {
      const response = await fetch(`${test.url}/v1/functions/mine${path}`, { method: method ?? "", headers });
      assert.equal((await failure(response)).code, "FUNCTION_NOT_FOUND");
    }
    assert.deepEqual(await (await fetch(`${test.url}/v1/functions`, { headers })).json(), { functions: [] });
    assert.equal((await test.api("/v1/functions/mine")).status, 200);
  });
});

function line(text: string): LogRecord {
  return { invocationId: null, timeMs: 1_000, level: "info", source: "console", text };
}

function record(): InvocationRecord {
  return {
    id: randomUUID(),
    tenant: "main",
    functionName: "hello",
    version: "a".repeat(64),
    outcome: "timeout",
    error: { code: "TIMEOUT", message: "late" },
    status: 504,
    start: "cold",
    timing: { queueMs: 1, sandboxMs: 2, initMs: 3, handlerMs: 4 },
    cpuMs: 5,
    peakMemoryBytes: 6,
    startedAtMs: 7,
    endedAtMs: 8_000,
  };
}

describe("logs", () => {
  const ref = { tenant: "main", functionName: "hello" };

  it("are lines of JSON, in part as asked", async () => {
    const end = record();
    await appendLogs(test.connection, ref, [line("one"), line("two\nlines")]);
    await recordInvocation(test.connection, end);
    const lines = async (query: string) => {
      const response = await test.api(`/v1/functions/hello/logs${query}`);
      assert.equal(response.headers.get("content-type"), "application/x-ndjson");
      return (await response.text())
        .split("\n")
        .slice(0, -1)
        .map((text) => JSON.parse(text));
    };
    assert.deepEqual(await lines(""), [line("one"), line("two\nlines"), { end }]);
    assert.deepEqual(await lines("?limit=1"), [{ end }]);
    assert.deepEqual(await lines(`?invocation=${end.id}`), [{ end }]);
    assert.deepEqual(await lines("?since=8000"), [{ end }]);
    assert.deepEqual(await lines("?since=1970-01-01T00:00:08Z"), [{ end }]);
    assert.deepEqual(await lines("?since=8001"), []);
    for (const query of ["?limit=0", "?limit=x", "?invocation=1", "?since=yesterday", "?follow=2"]) {
      const answer = await failure(await test.api(`/v1/functions/hello/logs${query}`));
      assert.equal(answer.code, "INVALID_REQUEST");
      assert.ok(answer.message.startsWith(query.slice(1).split("=")[0] ?? ""), answer.message);
    }
  });

  it("go on when they are followed, and their connection ends with the client's", async () => {
    const leave = new AbortController();
    const response = await test.api("/v1/functions/hello/logs?limit=1&follow=1", { signal: leave.signal });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    assert.match((await reader?.read())?.value ?? "", /"end"/);
    await appendLogs(test.connection, ref, [line("live")]);
    assert.deepEqual(JSON.parse((await reader?.read())?.value ?? ""), line("live"));
    leave.abort();
    while (String(await test.connection.client("LIST")).includes("cmd=xread")) await test.connection.ping();
  });

  it("are not followed by more clients than the gateway can hold, and a tenant leaves some to others", async () => {
    const leave = new AbortController();
    const followers = await Promise.all(
      Array.from({ length: 80 }, () => test.api("/v1/functions/hello/logs?limit=1&follow=1", { signal: leave.signal })),
    );
    assert.equal(followers.filter(({ status }) => status === 200).length, 56);
    const theirs = await createKey(test.connection, "follower");
    const headers = { authorization: `Bearer ${theirs.key}` };
    const put = { method: "PUT", body: JSON.stringify(deployment("own")) };
    await test.api("/v1/functions/own", { ...put, headers: { ...headers, "content-type": "application/json" } });
    const follow = await test.api("/v1/functions/own/logs?follow=1", { headers, signal: leave.signal });
    assert.equal(follow.status, 200);
    const answer = await failure(await test.api("/v1/functions/hello/logs?follow=1"));
    assert.deepEqual([answer.status, answer.code], [429, "TOO_MANY_FOLLOWERS"]);
    leave.abort();
    while (String(await test.connection.client("LIST")).includes("cmd=xread")) await test.connection.ping();
    const again = new AbortController();
    assert.equal((await test.api("/v1/functions/hello/logs?limit=1&follow=1", { signal: again.signal })).status, 200);
    again.abort();
  });
});

it("ends at once what follows a log for the head of the answer alone", async () => {
  for (let count = 0; count < 100; count++) {
    const { status } = await test.api("/v1/functions/hello/logs?follow=1", { method: "HEAD" });
    assert.equal(status, 200);
  }
  while (String(await test.connection.client("LIST")).includes("cmd=xread")) await test.connection.ping();
});

it("shows how a call ended", async () => {
  const end = record();
  await recordInvocation(test.connection, end);
  assert.deepEqual(await (await test.api(`/v1/invocations/${end.id}`)).json(), end);
  assert.equal((await failure(await test.api(`/v1/invocations/${randomUUID()}`))).code, "INVOCATION_NOT_FOUND");
  const { key } = await createKey(test.connection, "other");
  const theirs = await fetch(`${test.url}/v1/invocations/${end.id}`, { headers: { authorization: `Bearer ${key}` } });
  assert.equal((await failure(theirs)).code, "INVOCATION_NOT_FOUND");
});

it("shows the spans of a trace", async () => {
  const traceId = "a".repeat(32);
  const attributes = { "sandpiper.tenant": "main", list: ["a", "b"] };
  const span = {
    traceId,
    spanId: "b".repeat(16),
    name: "gateway",
    kind: "server",
    service: "gateway",
    status: "unset",
  };
  assert.equal((await failure(await test.api(`/v1/traces/${traceId}`))).code, "TRACE_NOT_FOUND");
  await storeSpans(test.connection, [{ ...span, startMs: 1.5, endMs: 2.5, attributes } as never]);
  const stored = await (await test.api(`/v1/traces/${traceId}`)).json();
  assert.deepEqual(stored, { spans: [{ ...span, startMs: 1.5, endMs: 2.5, attributes }] });
});

it("tells whether calls can be answered", async () => {
  assert.deepEqual(await (await fetch(`${test.url}/healthz`)).json(), { alive: true });
  const without = await fetch(`${test.url}/readyz`);
  assert.equal(without.status, 503);
  assert.deepEqual(await without.json(), {
    ready: false,
    workers: 0,
    degraded: [],
    reason: "No worker is alive.",
    warnings: [],
  });
  const posture = { launcher: "fork", degraded: ["swap-limit"] };
  await beat(test.connection, { id: "w", host: "h", pid: 1, startedAtMs: 1, posture, running: 0, room: 1 });
  const ready = await fetch(`${test.url}/readyz`);
  assert.equal(ready.status, 200);
  assert.deepEqual(await ready.json(), { ready: true, workers: 1, degraded: ["swap-limit"], warnings: [] });
});

it("is not ready for the true reason: Redis that answers and refuses to write", async () => {
  const posture = { launcher: "fork", degraded: [] };
  await beat(test.connection, { id: "w", host: "h", pid: 1, startedAtMs: 1, posture, running: 0, room: 1 });
  const reason = async () => ((await (await fetch(`${test.url}/readyz`)).json()) as { reason?: string }).reason;
  await test.connection.config("SET", "maxmemory", "1");
  await eventually(
    async () => (await reason()) === "Redis answers and refuses to write: its memory is full (maxmemory).",
  );
  await test.connection.config("SET", "maxmemory", "0");
  // Its worker may have fallen silent meanwhile.
  await eventually(async () => !/refuses/.test((await reason()) ?? ""));
});

it("warns of workers whose sandboxes are no forks although they should be", async () => {
  const posture = { launcher: "exec", degraded: [], fallback: "a fork of Node does not live" };
  await beat(test.connection, { id: "slow", host: "h", pid: 1, startedAtMs: 1, posture, running: 0, room: 1 });
  const { ready, warnings } = (await (await fetch(`${test.url}/readyz`)).json()) as {
    ready: boolean;
    warnings: string[];
  };
  assert.deepEqual([ready, warnings.length], [true, 1]);
  assert.match(String(warnings[0]), /worker slow starts a process for each sandbox.*a fork of Node does not live/);
});

it("tells addresses that do not exist from methods that they do not know", async () => {
  assert.equal((await failure(await fetch(`${test.url}/`))).code, "ROUTE_NOT_FOUND");
  assert.equal((await failure(await test.api("/v1/nothing"))).code, "ROUTE_NOT_FOUND");
  const response = await test.api("/v1/functions/hello", { method: "POST" });
  assert.equal(response.headers.get("allow"), "GET, PUT, DELETE");
  assert.deepEqual((await failure(response)).status, 405);
});

it("describes itself", async () => {
  const document = (await (await fetch(`${test.url}/v1/openapi.json`)).json()) as {
    openapi: string;
    paths: Record<string, Record<string, { security?: unknown; responses: Record<string, unknown> }>>;
    components: { schemas: Record<string, unknown>; securitySchemes: Record<string, unknown> };
  };
  assert.equal(document.openapi, "3.1.0");
  assert.deepEqual(Object.keys(document.paths).sort(), [
    "/healthz",
    "/readyz",
    "/v1/audit",
    "/v1/backup",
    "/v1/domains",
    "/v1/domains/check",
    "/v1/domains/{domain}",
    "/v1/domains/{domain}/verify",
    "/v1/egress",
    "/v1/egress/{tenant}",
    "/v1/functions",
    "/v1/functions/{name}",
    "/v1/functions/{name}/aliases",
    "/v1/functions/{name}/aliases/{alias}",
    "/v1/functions/{name}/events",
    "/v1/functions/{name}/history",
    "/v1/functions/{name}/hold",
    "/v1/functions/{name}/logs",
    "/v1/functions/{name}/promote",
    "/v1/functions/{name}/rollback",
    "/v1/functions/{name}/signed-urls",
    "/v1/functions/{name}/signing-key/rotate",
    "/v1/functions/{name}/versions",
    "/v1/gc",
    "/v1/invocations/{id}",
    "/v1/keys",
    "/v1/keys/{keyId}",
    "/v1/keys/{keyId}/rotate",
    "/v1/openapi.json",
    "/v1/quotas",
    "/v1/quotas/{tenant}",
    "/v1/restores/{restore}",
    "/v1/secrets",
    "/v1/secrets/rewrap",
    "/v1/secrets/{secret}",
    "/v1/sources",
    "/v1/sources/missing",
    "/v1/tenants",
    "/v1/tenants/{tenant}",
    "/v1/tenants/{tenant}/resume",
    "/v1/tenants/{tenant}/suspend",
    "/v1/traces/{traceId}",
    "/v1/usage",
    "/v1/whoami",
  ]);
  assert.deepEqual(document.paths["/v1/functions/{name}"]?.put?.security, [{ apiKey: [] }]);
  assert.ok(JSON.stringify(document.components.schemas.Deployment).includes("memoryMiB"));
  for (const reference of JSON.stringify(document).matchAll(/"#\/components\/(\w+)\/(\w+)"/g)) {
    const kind = document.components[reference[1] as "schemas"];
    assert.ok(kind?.[reference[2] ?? ""], reference[0]);
  }
});

it("logs no error of its own in all of this", () => {
  assert.deepEqual(test.logged, []);
});
