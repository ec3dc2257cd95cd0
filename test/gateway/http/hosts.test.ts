/** A host name leads to the gateway itself, to one function, or to nothing. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { type HostConfig, Hosts } from "../../../gateway/http/hosts.ts";
import { RawClient, startTestGateway, type TestGateway } from "../../helpers/gateway.ts";

const LONGEST = "x".repeat(63);
const config = (parts: Partial<HostConfig> = {}): HostConfig => ({
  functionDomain: "localhost",
  gatewayHosts: [],
  publicUrl: null,
  ...parts,
});

/** What a name means, in short: a function as "function@tenant". */
function meaning(hosts: Hosts, text: string): string {
  const host = hosts.find(text);
  return host.kind === "function" ? `${host.functionName}@${host.tenant}` : host.kind;
}

function checkAll(hosts: Hosts, expected: Record<string, string>): void {
  const texts = Object.keys(expected);
  assert.deepEqual(Object.fromEntries(texts.map((text) => [text, meaning(hosts, text)])), expected);
}

describe("a host", () => {
  it("of two labels below localhost is a function's, however it is written", () => {
    checkAll(new Hosts(config()), {
      "hello.main.localhost": "hello@main",
      "hello.main.localhost:8787": "hello@main",
      "HELLO.Main.LocalHost:1": "hello@main",
      "hello.main.localhost.": "hello@main",
      "hello.main.localhost.:8787": "hello@main",
      "a-b.c-1.localhost": "a-b@c-1",
      [`${LONGEST}.${LONGEST}.localhost:65535`]: `${LONGEST}@${LONGEST}`,
      "localhost.main.localhost": "localhost@main",
    });
  });

  it("that is an address, localhost or one label is the gateway's", () => {
    const names = [
      "localhost",
      "LOCALHOST:80",
      "localhost.",
      "127.0.0.1:8787",
      "10.1.2.3",
      "[::1]:8787",
      "[::]",
      "gateway",
    ];
    checkAll(new Hosts(config()), Object.fromEntries(names.map((name) => [name, "gateway"])));
  });

  it("that a tenant has proven is its function's, unless it is the platform's own", () => {
    const bound = (functionName: string, alias: string | null = null) => ({ tenant: "main", functionName, alias });
    const domains = new Map([
      ["shop.example.com", bound("shop")],
      ["next.example.com", bound("shop", "staging")],
      ["gateway.example", bound("shop")],
      ["hello.main.localhost", bound("shop")],
    ]);
    const hosts = new Hosts(config({ gatewayHosts: ["gateway.example", "*"] }), domains);
    const names = (text: string) => {
      const host = hosts.find(text);
      return host.kind === "domain" ? `${host.functionName}@${host.tenant} ${host.name}` : meaning(hosts, text);
    };
    for (const text of ["shop.example.com", "SHOP.Example.com:443", "shop.example.com."]) {
      assert.equal(names(text), "shop@main shop.example.com", text);
    }
    assert.equal(names("next.example.com"), "staging--shop@main next.example.com");
    assert.equal(names("gateway.example"), "gateway");
    assert.equal(names("hello.main.localhost"), "hello@main");
    assert.equal(names("www.shop.example.com"), "gateway");
    domains.delete("shop.example.com");
    hosts.forget();
    assert.equal(names("shop.example.com"), "gateway");
    for (const name of ["localhost", "a.localhost", "gateway.example", "1.2.3.4"]) assert.ok(hosts.isOwn(name), name);
    for (const name of ["notlocalhost.example", "shop.example.com"]) assert.ok(!hosts.isOwn(name), name);
  });

  it("of any other form means nothing, or is no host at all", () => {
    checkAll(new Hosts(config()), {
      "main.localhost": "unknown",
      "a.hello.main.localhost": "unknown",
      ".main.localhost": "unknown",
      "hello..localhost": "unknown",
      "hello.main.localhost..": "unknown",
      "localhost..": "unknown",
      "hello.main.localhost.example": "unknown",
      "hello.mainlocalhost": "unknown",
      "-hello.main.localhost": "unknown",
      "hel_lo.main.localhost": "unknown",
      [`${LONGEST}x.main.localhost`]: "unknown",
      "evil.example": "unknown",
      "0x7f.1": "unknown",
      "": "invalid",
      "hello.main.localhost:": "invalid",
      "hello.main.localhost:99999": "invalid",
      "hello.main.localhost:80:80": "invalid",
      "hello%2emain.localhost": "invalid",
      "hello.main.localhost/": "invalid",
      "a@hello.main.localhost": "invalid",
      "hello.main.localhost, localhost": "invalid",
      "hello.main.localhost\t": "invalid",
      "hello.main.127.0.0.1": "invalid",
      "[hello.main.localhost]": "invalid",
      "[::1": "invalid",
      "h\u00e9llo.main.localhost": "invalid",
      [`${"a.".repeat(130)}localhost`]: "invalid",
    });
  });

  it("is the gateway's where it is configured, before it is a function's", () => {
    const hosts = new Hosts(
      config({
        functionDomain: "fn.example.com",
        publicUrl: "https://API.main.fn.example.com/base",
        gatewayHosts: ["gateway.internal"],
      }),
    );
    checkAll(hosts, {
      "hello.main.fn.example.com": "hello@main",
      "api.main.fn.example.com": "gateway",
      "gateway.internal:80": "gateway",
      localhost: "gateway",
      "hello.main.localhost": "unknown",
      "main.fn.example.com": "unknown",
      "fn.example.com": "unknown",
      "hello.main.example.com": "unknown",
      "hello.main.fn.example.com.evil.example": "unknown",
    });
    checkAll(new Hosts(config({ gatewayHosts: ["*"] })), {
      "a.example": "gateway",
      "hello.main.localhost": "hello@main",
    });
  });

  it("is in a function's URL where it leads there from the client that asks", () => {
    const hello = { tenant: "main", functionName: "hello" };
    const local = new Hosts(config());
    assert.equal(local.urlOf("http://127.0.0.1:8787", hello), "http://hello.main.localhost:8787");
    assert.equal(local.urlOf("http://localhost", hello), "http://hello.main.localhost");
    assert.equal(local.urlOf("http://[::1]:1", hello), "http://hello.main.localhost:1");
    for (const base of ["http://10.0.0.5:8787", "https://fn.example"]) assert.equal(local.urlOf(base, hello), null);
    const publicUrl = "https://api.hello.example.com:8443/base";
    const far = new Hosts(config({ functionDomain: "example.com", publicUrl }));
    assert.equal(far.urlOf(publicUrl, hello), "https://hello.main.example.com:8443");
    assert.equal(far.urlOf(publicUrl, { tenant: "hello", functionName: "api" }), null, "the gateway's own");
  });
});

describe("a gateway", () => {
  let test: TestGateway;
  /** Where the calls went, as "function@tenant path". */
  const called: string[] = [];
  before(async () => {
    test = await startTestGateway();
    await test.deploy("other");
  });
  after(() => test.stop());
  beforeEach(() => {
    called.length = 0;
    test.answer = ({ tenant, functionName, request: { path } }) => {
      called.push(`${functionName}@${tenant} ${path}`);
      return { body: Buffer.from("a function") };
    };
  });

  async function ask(lines: string): Promise<{ status: string; body: string }> {
    const client = new RawClient(test.url);
    client.send(`${lines}\r\nconnection: close\r\n\r\n`);
    const answer = await client.ended();
    return { status: answer.slice(9, 12), body: answer.slice(answer.indexOf("\r\n\r\n") + 4) };
  }

  it("answers nothing of its own on a function's host", async () => {
    const { paths } = (await (await fetch(`${test.url}/v1/openapi.json`)).json()) as { paths: object };
    const own = Object.keys(paths).map((path) => path.replaceAll(/[{}]/g, ""));
    const all = [...own, "/", "/metrics", "/fn/main/other/", "//v1/whoami", "/%761/whoami", "/x/../v1/whoami"];
    assert.ok(all.includes("/readyz") && all.includes("/v1/functions"));
    for (const path of all) {
      const lines = `GET ${path} HTTP/1.1\r\nhost: hello.main.localhost\r\nauthorization: Bearer ${test.key}`;
      assert.deepEqual(await ask(lines), { status: "200", body: "a function" }, path);
    }
    assert.deepEqual(
      called,
      all.map((path) => `hello@main ${path}`),
    );
  });

  it("takes the host of the target before that of the field", async () => {
    const ownHost = "http://hello.main.localhost/v1/whoami";
    assert.equal((await ask(`GET ${ownHost} HTTP/1.1\r\nhost: localhost`)).body, "a function");
    assert.equal((await ask("GET http://localhost/v1/whoami HTTP/1.1\r\nhost: hello.main.localhost")).status, "401");
    assert.equal((await ask("GET HTTP://HELLO.MAIN.LOCALHOST. HTTP/1.1\r\nhost: localhost")).body, "a function");
    assert.deepEqual(called, ["hello@main /v1/whoami", "hello@main /"]);
  });

  it("runs nothing for a host that is not one alone, or nobody's", async () => {
    for (const [lines, status, code] of [
      ["GET / HTTP/1.1\r\nhost: hello.main.localhost\r\nhost: localhost", "400", "INVALID_REQUEST"],
      ["GET / HTTP/1.1\r\nhost: hello.main.localhost\r\nHOST: hello.main.localhost", "400", "INVALID_REQUEST"],
      ["GET / HTTP/1.1\r\nhost: hello.main.localhost, localhost", "400", "INVALID_REQUEST"],
      ["GET http://x@hello.main.localhost/ HTTP/1.1\r\nhost: localhost", "400", "INVALID_REQUEST"],
      ["GET / HTTP/1.1\r\nhost: hello.main.localhost%00", "400", "INVALID_REQUEST"],
      ["GET / HTTP/1.1\r\nhost: none.main.localhost", "404", "FUNCTION_NOT_FOUND"],
      ["GET / HTTP/1.1\r\nhost: hello.other.localhost", "404", "FUNCTION_NOT_FOUND"],
      ["GET /fn/main/hello/ HTTP/1.1\r\nhost: evil.example", "421", "UNKNOWN_HOST"],
      ["GET /v1/openapi.json HTTP/1.1\r\nhost: main.localhost", "421", "UNKNOWN_HOST"],
      ["GET http://evil.example/fn/main/hello/ HTTP/1.1\r\nhost: localhost", "421", "UNKNOWN_HOST"],
    ] as const) {
      const answer = await ask(lines);
      assert.equal(answer.status, status, lines);
      assert.match(answer.body, new RegExp(`"code":"${code}"`), lines);
    }
    assert.deepEqual(called, []);
  });

  it("knows names of the greatest length, and prints no URL that leads nowhere", async () => {
    for (const name of [LONGEST, `xn--${"z".repeat(59)}`]) {
      const { url } = (await (await test.deploy(name)).json()) as { url: string };
      assert.equal(await (await fetch(`${url}/where`)).text(), "a function", url);
    }
    assert.deepEqual(called, [`${LONGEST}@main /where`, `xn--${"z".repeat(59)}@main /where`]);
  });

  it("is itself for a request without a host", async () => {
    assert.equal((await ask("GET /healthz HTTP/1.0")).status, "200");
  });
});
