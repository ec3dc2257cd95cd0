/** On a host of its own a function speaks for its origin, and not for the site of all functions. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { replyHeaders } from "../../../gateway/call/headers.ts";
import { ORIGIN_WIDE } from "../../../gateway/call/shared-origin.ts";
import { Hosts } from "../../../gateway/http/hosts.ts";
import { startTestGateway } from "../../helpers/gateway.ts";

const host = new Hosts({ functionDomain: "fn.example", gatewayHosts: [], publicUrl: null }).find(
  "hello.main.fn.example",
);
assert.ok(host.kind === "function");

/** What passes of a field; undefined: nothing. */
function passed(name: string, value: string): string | undefined {
  const headers = replyHeaders([[name, value]], host as Extract<typeof host, { kind: "function" }>);
  assert.ok(headers.ok);
  return headers.raw[1];
}

describe("on a host of its own", () => {
  it("a function sets the fields that concern its origin", () => {
    for (const name of Object.keys(ORIGIN_WIDE)) {
      const isForSite = name === "clear-site-data" || name === "set-cookie2";
      assert.equal(passed(name, "x"), isForSite ? undefined : "x", name);
    }
    for (const path of ["/login", "//evil.example/", "https://a.example/", "http://hello.main.fn.example/x"]) {
      assert.equal(passed("location", path), path);
    }
  });

  it("a cookie is for the host or for all of the tenant's functions", () => {
    for (const [given, expected] of [
      ["__Host-a=1; Secure; Path=/", undefined],
      ["a=1; Path=/x; domain-like=1; HttpOnly", undefined],
      ["a=1; Domain=hello.main.fn.example; Secure", undefined],
      ["a=1; DOMAIN=.Main.fn.example", undefined],
      ["a=1; Domain=fn.example; Secure", "a=1; Secure"],
      ["a=1; Domain=example", "a=1"],
      ["a=1;domain = .fn.example ;Path=/", "a=1;Path=/"],
      ["a=1; Domain=other.fn.example", "a=1"],
      ["a=1; Domain=xmain.fn.example", "a=1"],
      ["a=1; Domain=hello.other.fn.example", "a=1"],
      ["a=1; Domain=main.fn.example; Domain=fn.example", "a=1; Domain=main.fn.example"],
      ["a=1; Domain; Domain=", "a=1"],
    ] as const) {
      assert.equal(passed("set-cookie", given), expected ?? given, given);
    }
  });

  it("it clears what its origin keeps, and no cookies of others", () => {
    for (const [given, expected] of [
      ['"cache", "storage"', '"cache", "storage"'],
      ['"cookies"', undefined],
      ['"cookies","storage"', '"storage"'],
      ['"storage", "*"', '"cache", "storage"'],
      ['"executionContexts"', '"executionContexts"'],
    ] as const) {
      assert.equal(passed("clear-site-data", given), expected, given);
    }
  });
});

it("a function is called on such a host", async (t) => {
  const test = await startTestGateway();
  t.after(() => test.stop());
  test.answer = () => ({
    headers: [
      ["service-worker-allowed", "/"],
      ["set-cookie", "__Host-a=1; Secure; Path=/"],
      ["set-cookie", "b=1; Path=/; Domain=localhost"],
    ],
  });
  const { headers } = await fetch(`http://hello.main.localhost:${test.gateway.port}/`);
  assert.equal(headers.get("service-worker-allowed"), "/");
  assert.deepEqual(headers.getSetCookie(), ["__Host-a=1; Secure; Path=/", "b=1; Path=/"]);
});
