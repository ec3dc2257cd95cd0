/** What a function sees of its own URL, and is told of its client. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Invocation } from "../../../functions/model/invocation.ts";
import { RawClient, startTestGateway, type TestGateway } from "../../helpers/gateway.ts";

/** What the function is told by a request of these lines. */
async function told(test: TestGateway, lines: string): Promise<{ url: string; path: string; fields: string[] }> {
  const seen = Promise.withResolvers<Invocation["request"]>();
  test.answer = ({ request }) => {
    seen.resolve(request);
    return {};
  };
  const client = new RawClient(test.url);
  client.send(`${lines}\r\n\r\n`);
  await client.until(/^HTTP\/1\.1 200 /);
  client.close();
  const { url, path, headers } = await seen.promise;
  const fields = headers.filter(([name]) => name !== "host").map(([name, value]) => `${name}: ${value}`);
  return { url, path, fields: fields.sort() };
}

const CLAIMS = [
  "X-Forwarded-For: 203.0.113.5",
  "X-Forwarded-Proto: https",
  "X-Forwarded-Port: 443",
  "X-Forwarded-Prefix: /evil",
  "X-Forwarded-Host: evil.example",
  "X-Real-IP: 203.0.113.5",
  "Forwarded: for=203.0.113.5",
].join("\r\n");
const FROM_HERE = ["x-forwarded-for: 127.0.0.1", "x-forwarded-port: 80", "x-forwarded-proto: http"];

describe("a function", () => {
  let test: TestGateway;
  before(async () => {
    test = await startTestGateway();
    await test.deploy("kept", { keepPrefix: true });
  });
  after(() => test.stop());

  it("is at the root of a host of its own", async () => {
    assert.deepEqual(await told(test, "GET /a//%2e?b HTTP/1.1\r\nhost: Hello.main.localhost:8787"), {
      url: "http://Hello.main.localhost:8787/a//%2e?b",
      path: "/a//%2e?b",
      fields: ["x-forwarded-for: 127.0.0.1", "x-forwarded-port: 8787", "x-forwarded-proto: http"],
    });
  });

  it("is told the port by its number, and what it is told stays whatever a client says of its connection", async () => {
    const names = "close, x-forwarded-for, X-Forwarded-Port, x-forwarded-proto, x-forwarded-prefix, x-other";
    const lines = `host: hello.main.localhost:00080\r\nconnection: ${names}\r\nx-other: a\r\n${CLAIMS}`;
    assert.deepEqual((await told(test, `GET / HTTP/1.1\r\n${lines}`)).fields, FROM_HERE);
  });

  it("is at the root of the shared host, and told what was taken off", async () => {
    const fields = [...FROM_HERE.slice(0, 2), "x-forwarded-prefix: /fn/main/hello", ...FROM_HERE.slice(2)];
    for (const [target, path] of [
      ["/fn/main/hello", "/"],
      ["/fn/main/hello/a//b?c", "/a//b?c"],
      ["/fn/main/hello?c", "/?c"],
    ] as const) {
      const expected = { url: `http://localhost${path}`, path, fields };
      assert.deepEqual(await told(test, `GET ${target} HTTP/1.1\r\nhost: localhost`), expected);
    }
  });

  it("keeps its prefix if it asks for that, where there is one", async () => {
    assert.deepEqual(await told(test, "GET /fn/main/kept?x HTTP/1.1\r\nhost: localhost"), {
      url: "http://localhost/fn/main/kept?x",
      path: "/?x",
      fields: FROM_HERE,
    });
    assert.deepEqual(await told(test, "GET /x HTTP/1.1\r\nhost: kept.main.localhost"), {
      url: "http://kept.main.localhost/x",
      path: "/x",
      fields: FROM_HERE,
    });
    const { url } = (await (await test.api("/v1/functions/kept")).json()) as { url: string };
    assert.equal(url, `${test.url}/fn/main/kept`);
  });

  it("is told nothing of what a client claims", async () => {
    const { fields, url } = await told(test, `GET / HTTP/1.1\r\nhost: hello.main.localhost\r\n${CLAIMS}`);
    assert.deepEqual(fields, FROM_HERE);
    assert.equal(url, "http://hello.main.localhost/");
  });
});

it("a function behind a proxy that is trusted is told what that one says", async (t) => {
  const test = await startTestGateway({ trustedProxies: ["127.0.0.1"], functionDomain: "fn.example" });
  t.after(() => test.stop());
  assert.deepEqual(await told(test, `GET /x HTTP/1.1\r\nhost: hello.main.fn.example\r\n${CLAIMS}`), {
    url: "https://hello.main.fn.example/x",
    path: "/x",
    fields: [
      "forwarded: for=203.0.113.5",
      "x-forwarded-for: 203.0.113.5",
      "x-forwarded-host: evil.example",
      "x-forwarded-port: 443",
      "x-forwarded-proto: https",
      "x-real-ip: 203.0.113.5",
    ],
  });
  const { fields } = await told(test, "GET / HTTP/1.1\r\nhost: hello.main.fn.example\r\nx-forwarded-proto: ftp, https");
  assert.ok(fields.includes("x-forwarded-proto: http"));
});

it("a function behind a public URL has its scheme and port on both hosts", async (t) => {
  const test = await startTestGateway({ publicUrl: "https://api.fn.example:8443/base", functionDomain: "fn.example" });
  t.after(() => test.stop());
  const own = await told(test, "GET /x HTTP/1.1\r\nhost: hello.main.fn.example:8443");
  assert.equal(own.url, "https://hello.main.fn.example:8443/x");
  assert.deepEqual(own.fields, ["x-forwarded-for: 127.0.0.1", "x-forwarded-port: 8443", "x-forwarded-proto: https"]);
  const shared = await told(test, "GET /fn/main/hello/x HTTP/1.1\r\nhost: 127.0.0.1");
  assert.equal(shared.url, "https://api.fn.example:8443/x");
  assert.deepEqual(shared.fields, [
    "x-forwarded-for: 127.0.0.1",
    "x-forwarded-port: 8443",
    "x-forwarded-prefix: /base/fn/main/hello",
    "x-forwarded-proto: https",
  ]);
  const { url, sharedUrl } = (await (await test.api("/v1/functions/hello")).json()) as Record<string, string>;
  assert.deepEqual(
    [url, sharedUrl],
    ["https://hello.main.fn.example:8443", "https://api.fn.example:8443/base/fn/main/hello"],
  );
});
