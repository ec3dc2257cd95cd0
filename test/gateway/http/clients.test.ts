/** One client's address can take so many connections and requests, and no more. */
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import type { GatewayConfig } from "../../../gateway/gateway-options.ts";
import { type ClientLimits, Clients } from "../../../gateway/http/clients.ts";
import { head, RawClient, startTestGateway, type TestGateway } from "../../helpers/gateway.ts";

/** A second that does not end while a test runs. */
beforeEach(() => mock.timers.enable({ apis: ["Date"], now: Date.now() }));
afterEach(() => mock.timers.reset());

const NONE: ClientLimits = {
  trustedProxies: [],
  unlimitedClients: [],
  maxClientConnections: 2,
  maxClientRequestsPerSecond: 2,
};

/** A connection from somewhere. */
const from = (remoteAddress: string) => Object.assign(new EventEmitter(), { remoteAddress }) as unknown as Socket;

function request(socket: Socket, forwarded?: string): IncomingMessage {
  return {
    socket,
    headers: forwarded === undefined ? {} : { "x-forwarded-for": forwarded },
  } as unknown as IncomingMessage;
}

describe("a client", () => {
  it("has so many connections at once", () => {
    const clients = new Clients(NONE);
    const [first, second] = [from("192.0.2.1"), from("192.0.2.1")];
    assert.ok(clients.connect(first) && clients.connect(second));
    assert.ok(!clients.connect(from("192.0.2.1")));
    assert.ok(clients.connect(from("192.0.2.2")), "another client");
    first.emit("close");
    assert.ok(clients.connect(from("192.0.2.1")));
    assert.ok(!clients.connect(from("::ffff:192.0.2.1")), "the same address in IPv6");
  });

  it("sends so many requests a second, over however many connections", () => {
    const clients = new Clients(NONE);
    const ask = () => clients.admit(request(from("192.0.2.1")));
    assert.deepEqual([ask(), ask(), ask()], [true, true, false]);
    assert.ok(clients.admit(request(from("192.0.2.2"))), "another client");
    mock.timers.tick(1_000);
    assert.deepEqual([ask(), ask(), ask()], [true, true, false]);
  });

  it("is 64 bits of an address of IPv6", () => {
    for (const [one, other, same] of [
      ["2001:db8:0:1::1", "2001:db8:0:1:ffff::", true],
      ["2001:db8::1", "2001:0DB8:0000:0:1::", true],
      ["2001:db8::1", "2001:db8:0:1::1", false],
      ["fe80::1%eth0", "fe80::2", true],
      ["64:ff9b::192.0.2.1", "64:ff9b::1", true],
      ["::2", "1::2", false],
    ] as const) {
      const clients = new Clients({ ...NONE, maxClientConnections: 1 });
      assert.ok(clients.connect(from(one)));
      assert.equal(clients.connect(from(other)), !same, `${one} and ${other}`);
    }
  });

  it("is not counted where nobody sets a limit, or the limit is not for it", () => {
    const unlimited = new Clients({ ...NONE, maxClientConnections: 0, maxClientRequestsPerSecond: 0 });
    const exempt = new Clients({ ...NONE, unlimitedClients: ["192.0.2.0/24", "2001:db8::/32"] });
    for (let i = 0; i < 5; i++) {
      for (const socket of [from("192.0.2.1"), from("2001:db8::1")]) {
        for (const clients of [unlimited, exempt]) assert.ok(clients.connect(socket) && clients.admit(request(socket)));
      }
    }
    assert.ok(exempt.connect(from("192.0.3.1")) && exempt.connect(from("192.0.3.1")));
    assert.ok(!exempt.connect(from("192.0.3.1")));
  });

  it("is whom a proxy names that is believed, and the proxy where it names none", () => {
    const clients = new Clients({ ...NONE, trustedProxies: ["10.0.0.0/8", "::1"] });
    for (const [socket, forwarded, address] of [
      ["10.0.0.1", "203.0.113.5", "203.0.113.5"],
      ["10.0.0.1", "198.51.100.9, 203.0.113.5, 10.2.2.2", "203.0.113.5"],
      ["10.0.0.1", "203.0.113.5:4711", "203.0.113.5"],
      ["10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"],
      ["::1", "::ffff:203.0.113.5", "203.0.113.5"],
      ["10.0.0.1", undefined, "10.0.0.1"],
      ["10.0.0.1", "unknown", "10.0.0.1"],
      ["10.0.0.1", "203.0.113.5, nobody, 10.0.0.2", "10.0.0.2"],
      ["192.0.2.1", "203.0.113.5", "192.0.2.1"],
    ] as const) {
      assert.equal(clients.addressOf(request(from(socket), forwarded)), address, `${socket}: ${forwarded}`);
    }
    for (let i = 0; i < 5; i++) assert.ok(clients.connect(from("10.0.0.1")), "a proxy has many clients");
    const ask = (forwarded: string) => clients.admit(request(from("10.0.0.1"), forwarded));
    assert.deepEqual([ask("203.0.113.5"), ask("203.0.113.5"), ask("203.0.113.5")], [true, true, false]);
    assert.ok(ask("203.0.113.6"));
  });

  it("does not get another's share by a name of its own making", () => {
    const clients = new Clients(NONE);
    const asked = ["203.0.113.1", "203.0.113.2", "203.0.113.3"].map((forged) =>
      clients.admit(request(from("192.0.2.1"), forged)),
    );
    assert.deepEqual(asked, [true, true, false]);
  });
});

describe("a gateway", () => {
  const open: TestGateway[] = [];
  const start = async (overrides: Partial<GatewayConfig>) => {
    const test = await startTestGateway(overrides);
    open.push(test);
    return test;
  };
  afterEach(async () => {
    for (const test of open.splice(0)) await test.stop();
  });

  it("says 429 to a client that asks too often, and answers others", async () => {
    const test = await start({ trustedProxies: ["127.0.0.1"], maxClientRequestsPerSecond: 3 });
    const seen: string[] = [];
    test.answer = ({ request: { remoteAddress } }) => {
      seen.push(remoteAddress);
      return {};
    };
    const call = (forwarded: string) =>
      fetch(`${test.url}/fn/main/hello`, { headers: { "x-forwarded-for": forwarded } });
    for (let i = 0; i < 3; i++) assert.equal((await call("203.0.113.5")).status, 200);
    const refused = await call("203.0.113.5");
    assert.deepEqual([refused.status, refused.headers.get("retry-after")], [429, "1"]);
    assert.match(await refused.text(), /TOO_MANY_REQUESTS/);
    assert.equal((await call("203.0.113.6")).status, 200);
    mock.timers.tick(1_000);
    assert.equal((await call("203.0.113.5")).status, 200);
    const five = "203.0.113.5";
    assert.deepEqual(seen, [five, five, five, "203.0.113.6", five]);
  });

  it("says 429 to a connection too many, and takes one when another has gone", async () => {
    const test = await start({ unlimitedClients: [], maxClientConnections: 2, maxClientRequestsPerSecond: 0 });
    // The one that deployed the function is idle and counts.
    const asked = "GET /fn/main/hello HTTP/1.1\r\nhost: a\r\n\r\n";
    const first = new RawClient(test.url);
    first.send(asked);
    await first.until(/200 OK[\s\S]*hello/);
    const second = new RawClient(test.url);
    second.send(asked);
    const answer = await second.until(/\}\}$|hello$/);
    assert.match(answer, /^HTTP\/1.1 429 Too Many Requests\r\n[\s\S]*retry-after: 1\r\n[\s\S]*TOO_MANY_CONNECTIONS/);
    await second.ended();
    first.close();
    test.answer = ({ id }, send) => void send(head(id, { body: Buffer.from("again") }));
    for (;;) {
      const next = new RawClient(test.url);
      next.send(asked);
      const said = await next.until(/\}\}$|again$/);
      next.close();
      if (said.endsWith("again")) break;
    }
  });
});
