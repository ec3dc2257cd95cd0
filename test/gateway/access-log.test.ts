/** Lines in the gateway's log about calls. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { accessLog } from "../../gateway/access-log.ts";
import type { EndedCall } from "../../gateway/call/watched-call.ts";
import type { Config } from "../../infra/config.ts";
import { createLogger } from "../../infra/log.ts";
import { startTestGateway, type TestGateway } from "../helpers/gateway.ts";

interface Line {
  level: string;
  message: string;
  requestId: string;
  [name: string]: unknown;
}

const linesOf = ({ accessed }: TestGateway) => accessed.map((line) => JSON.parse(line) as Line);

/** Calls that end in several ways; gives their request ids, by how they ended. */
async function callAll(test: TestGateway): Promise<Record<string, string>> {
  test.answer = ({ request }) => {
    if (request.path.startsWith("/fail"))
      return { outcome: "timeout", status: 504, error: { code: "TIMEOUT", message: "too late" } };
    return { status: request.path.startsWith("/500") ? 500 : 404 };
  };
  const ids: Record<string, string> = {};
  for (const [name, path] of Object.entries({
    ...{ ok: "/fn/main/hello/ok?key=secret", failed: "/fn/main/hello/fail?key=secret" },
    ...{ own: "/fn/main/hello/500", none: "/fn/main/none" },
  })) {
    const response = await fetch(test.url + path);
    ids[name] = response.headers.get("x-request-id") ?? "";
    await response.body?.cancel();
  }
  return ids;
}

const modes: [Config["accessLog"], string[]][] = [
  ["failed", ["failed", "own"]],
  ["all", ["ok", "failed", "own", "none"]],
  ["off", []],
];
for (const [mode, logged] of modes) {
  describe(`an access log of "${mode}"`, () => {
    let test: TestGateway;
    before(async () => {
      test = await startTestGateway({ accessLog: mode });
    });
    after(() => test.stop());

    it("has a line for each of these calls, and no secret of theirs", async () => {
      const ids = await callAll(test);
      const lines = linesOf(test);
      const told = Object.keys(ids).filter((name) => lines.some(({ requestId }) => requestId === ids[name]));
      assert.deepEqual(told, logged);
      assert.equal(lines.length, logged.length);
      assert.ok(!test.accessed.join("").includes("secret"));
    });
  });
}

it("counts calls that were refused unseen together, whatever names their clients think of", () => {
  const lines: string[] = [];
  const tell = accessLog("failed", createLogger({ service: "gateway", write: (line) => lines.push(line) }));
  const refused: Omit<EndedCall, "named"> = {
    ...{ id: "1", method: "GET", path: "/", address: undefined, invocation: null, isSubmitted: false, startedAtMs: 0 },
    ...{ tookMs: 1, status: 503, outcome: null, error: { code: "OVERLOADED", message: "Too many." } },
  };
  for (let i = 0; i < 100; i++) tell({ ...refused, named: { tenant: "main", functionName: `f${i}` } });
  assert.equal(lines.length, 10);
  const [first] = lines.map((line) => JSON.parse(line) as Line);
  assert.deepEqual([first?.asked, first?.function], ["main/f0", undefined]);
});

describe("a line", () => {
  let test: TestGateway;
  before(async () => {
    test = await startTestGateway();
  });
  after(() => test.stop());

  it("names the call, its function, and how it ended", async () => {
    const { failed } = await callAll(test);
    const { ms, version, time, ...line } = linesOf(test)[0] as Line;
    assert.deepEqual(line, {
      ...{ level: "warn", service: "gateway", message: "a call failed", requestId: failed, function: "main/hello" },
      ...{ status: 504, outcome: "timeout", code: "TIMEOUT", reason: "too late", method: "GET" },
      ...{ path: "/fn/main/hello/fail", client: "127.0.0.1" },
    });
    assert.match(String(version), /^[0-9a-f]{12}$/);
    assert.ok(Number(ms) > 0);
  });
});
