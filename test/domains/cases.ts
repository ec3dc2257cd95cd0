/** A gateway behind Caddy, and what clients see of it: the cases of `npm run test:domains`. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { text } from "node:stream/consumers";
import type { Invocation } from "../../functions/model/invocation.ts";
import { makeOperatorKey } from "../../functions/store/tenant.ts";
import { type DnsServer, startDnsServer } from "../helpers/dns-server.ts";
import { startTestGateway, type TestGateway } from "../helpers/gateway.ts";
import { tempDir } from "../helpers/temp-dir.ts";
import { type Caddy, startCaddy } from "./caddy.ts";

const SHOP = "shop.example.net";
/** A client that is not the proxy. */
const CLIENT = "127.0.0.2";

export interface DomainCase {
  name: string;
  check: (setup: Setup) => Promise<void>;
}

/** A gateway with functions of the tenant `main`, and Caddy before it. */
export class Setup implements AsyncDisposable {
  readonly gateway: TestGateway;
  readonly dns: DnsServer;
  readonly #caddy: Caddy;
  readonly calls: Invocation[] = [];

  private constructor(gateway: TestGateway, dns: DnsServer, caddy: Caddy) {
    [this.gateway, this.dns, this.#caddy] = [gateway, dns, caddy];
    gateway.answer = (call) => {
      this.calls.push(call);
      return { body: Buffer.from(call.functionName) };
    };
  }

  static async start(program: string): Promise<Setup> {
    const dns = await startDnsServer();
    const gateway = await startTestGateway({
      publicUrl: "https://api.example.com",
      functionDomain: "example.com",
      trustedProxies: ["127.0.0.1"],
      domains: { max: 100, resolver: dns.address },
    });
    try {
      await makeOperatorKey(gateway.connection, gateway.key.split("_")[1] ?? "");
      return new Setup(gateway, dns, await startCaddy(program, tempDir(), gateway.gateway.port));
    } catch (error) {
      await gateway.stop();
      dns.close();
      throw error;
    }
  }

  /** A request over TLS, by which the certificate must be one for the host. */
  async ask(host: string, path: string, headers: Record<string, string> = {}) {
    const to = {
      host: "127.0.0.1",
      port: this.#caddy.port,
      localAddress: CLIENT,
      servername: host,
      ca: this.#caddy.ca,
    };
    const sent = request({ ...to, path, headers: { host, ...headers }, agent: false });
    sent.end();
    const [answer] = (await once(sent, "response")) as [IncomingMessage];
    return { status: answer.statusCode, body: await text(answer) };
  }

  /** A request to the control API, as an operator's command sends it. */
  async control(method: string, path: string, body?: unknown) {
    const headers = { "content-type": "application/json" };
    const response = await this.gateway.api(path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
    const text = await response.text();
    assert.ok(response.ok, text);
    return text === "" ? null : JSON.parse(text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#caddy.stop();
    await this.gateway.stop();
    this.dns.close();
  }
}

export const CASES: readonly DomainCase[] = [
  {
    name: "functions-have-certificates",
    async check(setup) {
      assert.deepEqual(await setup.ask("hello.main.example.com", "/x"), { status: 200, body: "hello" });
      await assert.rejects(setup.ask("nothing.main.example.com", "/"), "no certificate for what is not there");
    },
  },
  {
    name: "domains-have-certificates-when-they-are-proven",
    async check(setup) {
      await assert.rejects(setup.ask(SHOP, "/"));
      const { record } = await setup.control("PUT", `/v1/domains/${SHOP}`, { function: "hello" });
      await assert.rejects(setup.ask(SHOP, "/"), "a claim alone");
      setup.dns.records.set(record.name, [[record.value]]);
      await setup.control("POST", `/v1/domains/${SHOP}/verify`, {});
      assert.deepEqual(await setup.ask(SHOP, "/a?b"), { status: 200, body: "hello" });
      assert.equal(setup.calls.at(-1)?.request.url, `https://${SHOP}/a?b`);
      // The certificate outlives the domain, and leads to nothing.
      await setup.control("DELETE", `/v1/domains/${SHOP}`);
      assert.equal((await setup.ask(SHOP, "/")).status, 421);
    },
  },
  {
    name: "clients-are-told-apart",
    async check(setup) {
      const claims = {
        "x-forwarded-for": "203.0.113.9",
        "x-forwarded-proto": "http",
        "x-forwarded-host": "evil.example",
      };
      await setup.ask("hello.main.example.com", "/", claims);
      const { headers = [], remoteAddress } = setup.calls.at(-1)?.request ?? {};
      const fields = Object.fromEntries(headers);
      const names = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"];
      const host = "hello.main.example.com";
      assert.deepEqual([remoteAddress, ...names.map((name) => fields[name])], [CLIENT, CLIENT, "https", host, "443"]);
    },
  },
  {
    name: "the-control-api-has-its-own-name",
    async check(setup) {
      const key = { authorization: `Bearer ${setup.gateway.key}` };
      const { status, body } = await setup.ask("api.example.com", "/v1/whoami", key);
      assert.deepEqual([status, JSON.parse(body).publicUrl], [200, "https://api.example.com"]);
      assert.equal((await setup.ask("hello.main.example.com", "/v1/whoami", key)).body, "hello");
      const check = "/v1/domains/check?domain=hello.main.example.com";
      assert.deepEqual(await setup.ask("api.example.com", check), { status: 404, body: "" });
    },
  },
];
