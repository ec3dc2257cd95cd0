/** Tenants below /fn/ are one site to a browser: none may speak for it. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { replyHeaders } from "../../../gateway/call/headers.ts";
import { ORIGIN_WIDE, type SharedSite } from "../../../gateway/call/shared-origin.ts";
import { startTestGateway, type TestGateway } from "../../helpers/gateway.ts";

const PATH = "/fn/main/hello";

const SITE = { kind: "shared", origin: "http://localhost:8787", path: PATH, seesPath: false } as const;

/** What passes of a field; undefined: nothing. */
function passed(name: string, value: string, site: SharedSite = SITE): string | undefined {
  const headers = replyHeaders([[name, value]], site);
  assert.ok(headers.ok);
  return headers.raw[1];
}

const cookie = (value: string) => passed("set-cookie", value);

describe("on an origin that functions share", () => {
  it("a cookie is its function's alone", () => {
    for (const [given, passed] of [
      ["a=1", `a=1; Path=${PATH}`],
      ["a=1; Path=/", `a=1; Path=${PATH}`],
      ["a=1; path=/ ; DOMAIN=example.com; Secure; HttpOnly", `a=1; Secure; HttpOnly; Path=${PATH}`],
      ["a=1; domain; path", `a=1; Path=${PATH}`],
      ["a=1; Path=/login", `a=1; Path=${PATH}/login`],
      [`a=1; Path=${PATH}/login`, `a=1; Path=${PATH}/login`],
      [`a=1; Path=${PATH}`, `a=1; Path=${PATH}`],
      [`a=1; Path=${PATH}2`, `a=1; Path=${PATH}${PATH}2`],
      ["a=1; Path=/fn/other/hello", `a=1; Path=${PATH}/fn/other/hello`],
      ["a=1; Path=relative", `a=1; Path=${PATH}`],
      [`a=1; Path=${PATH}/x; Path=/`, `a=1; Path=${PATH}`],
      ["a=1;Path = / ;;", `a=1;;; Path=${PATH}`],
      ["a=b=c; SameSite=Lax; Max-Age=5", `a=b=c; SameSite=Lax; Max-Age=5; Path=${PATH}`],
      ["__Secure-a=1; Secure", `__Secure-a=1; Secure; Path=${PATH}`],
      ["__Host-a=1; Secure; Path=/", undefined],
      [" __hOST-http-a=1; Secure; Path=/", undefined],
    ] as const) {
      assert.equal(cookie(given), passed, given);
    }
  });

  it("no field passes that a browser keeps for the origin, and all others do", () => {
    for (const name of Object.keys(ORIGIN_WIDE)) {
      assert.deepEqual(replyHeaders([[name.toUpperCase(), "x"]], SITE), { ok: true, raw: [] }, name);
    }
    const own = ["content-security-policy", "permissions-policy", "document-policy", "speculation-rules", "__proto__"];
    for (const name of [...own, "cross-origin-opener-policy", "access-control-allow-origin", "www-authenticate"]) {
      assert.deepEqual(replyHeaders([[name, "x"]], SITE), { ok: true, raw: [name, "x"] });
    }
  });

  it("a redirect to the function's own paths leads below its URL", () => {
    for (const [given, expected] of [
      ["/", `${PATH}/`],
      ["/login?a#b", `${PATH}/login?a#b`],
      ["http://localhost:8787/login", `http://localhost:8787${PATH}/login`],
      ["HTTP://LocalHost:8787", `http://localhost:8787${PATH}`],
      ["http://localhost:8787?q", `http://localhost:8787${PATH}?q`],
      ["/fnord", `${PATH}/fnord`],
    ] as const) {
      assert.equal(passed("location", given), expected);
    }
    const untouched = [`${PATH}/login`, "/fn/main/other", "login", "?q", "", "//evil.example/x", "/\\evil.example"];
    const elsewhere = ["https://localhost:8787/x", "http://localhost/x", "http://a.example/x", "mailto:a@a.example"];
    for (const given of [...untouched, ...elsewhere]) assert.equal(passed("location", given), given);
    const based = { ...SITE, path: `/base${PATH}` };
    assert.equal(passed("location", "/login", based), `/base${PATH}/login`);
    assert.equal(passed("location", `/base${PATH}/login`, based), `/base${PATH}/login`);
    assert.equal(passed("location", "/login", { ...SITE, seesPath: true }), "/login");
  });

  it("a field that is no header field is refused, also where it would not pass", () => {
    assert.ok(!replyHeaders([["alt-svc", "a\r\nb: c"]], SITE).ok);
    assert.ok(!replyHeaders([["set-cookie", "__Host-a=1\r\nb: c"]], SITE).ok);
  });
});

describe("a function's URL", () => {
  let test: TestGateway;
  before(async () => {
    // Clients see a path before it that a proxy takes off.
    test = await startTestGateway({ publicUrl: "https://fn.example/base" });
  });
  after(() => test.stop());

  it("is such a place", async () => {
    test.answer = () => ({
      headers: [
        ["Service-Worker-Allowed", "/"],
        ["clear-site-data", '"*"'],
        ["set-cookie", "a=1; Path=/; Domain=example.com"],
        ["set-cookie", "__Host-b=1; Path=/; Secure"],
        ["x-mine", "1"],
      ],
    });
    const { headers } = await fetch(`${test.url}${PATH}/below?x`);
    assert.deepEqual(headers.getSetCookie(), [`a=1; Path=/base${PATH}`]);
    assert.deepEqual(
      ["service-worker-allowed", "clear-site-data", "x-mine"].map((name) => headers.get(name)),
      [null, null, "1"],
    );
  });
});
