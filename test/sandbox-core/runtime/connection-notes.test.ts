/** Failed connections of a function, of which its runtime tells the worker. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { ZygoteLauncher } from "../../../sandbox-core/launcher/launcher.ts";
import { MAX_NETWORK_NOTES } from "../../../sandbox-core/protocol/frames.ts";
import { openTestLauncher, SandboxClient } from "../../helpers/sandbox-client.ts";

let launcher: ZygoteLauncher;
before(async () => {
  launcher = await openTestLauncher();
});
after(() => launcher.close());

/** Connects to what the path says, in turn, and keeps every error to itself. */
const CODE = `
  import { connect, Socket } from "node:net"; import { connect as connectTls } from "node:tls";
  const ways = {
    net: (port, host) => connect(port, host), tls: (port, host) => connectTls(port, host),
    late: (port, host) => new Socket().connect(port, host),
    again: (port, host) => { const socket = new Socket(); socket.on("error", () => {}).once("close", () => socket.connect(port, host)); return socket.connect(port, host); },
  };
  const ended = (socket) => new Promise((resolve) => socket.on("error", () => {}).once("close", resolve));
  export default async ({ url }) => {
    for (const one of new URL(url).search.slice(1).split("&")) {
      const [way, host, port, times = 1] = one.split(",");
      for (let n = 0; n < Number(times); n++)
        if (way === "fetch") await fetch("https://" + host + ":" + (Number(port) + n)).catch(() => {});
        else await ended(ways[way](Number(port) + n, host));
    }
    return new Response("ok");
  };`;

test("an address without a route is told of by whichever client, once in each call", async () => {
  await using client = await SandboxClient.with(launcher, CODE);
  const query = "net,192.0.2.1,1&net,192.0.2.1,1&tls,192.0.2.2,2&late,192.0.2.3,3&again,192.0.2.4,4&fetch,192.0.2.5,5";
  for (const call of [1, 2]) {
    client.logs.length = 0;
    assert.equal(await client.text({ path: `/?${query}` }), "ok");
    assert.deepEqual(
      client.logs.map((log) => [log.call, log.source, /connect ENETUNREACH (\S+)/.exec(log.text)?.[1]]),
      [1, 2, 3, 4, 5].map((n) => [call, "network", `192.0.2.${n}:${n}`]),
    );
  }
});

test("a port of loopback that nobody listens at is the function's own affair", async () => {
  await using client = await SandboxClient.with(launcher, CODE);
  assert.equal(await client.text({ path: "/?net,127.0.0.1,1&net,localhost,1&fetch,127.0.0.1,1" }), "ok");
  assert.deepEqual(client.logs, []);
});

test("a call that tries many addresses is told of the first few, and the next call anew", async () => {
  await using client = await SandboxClient.with(launcher, CODE);
  for (const call of [1, 2]) {
    client.logs.length = 0;
    assert.equal(await client.text({ path: "/?net,192.0.2.1,1,50" }), "ok");
    assert.deepEqual(
      client.logs.map((log) => [log.call, /:(\d+)/.exec(log.text)?.[1]]),
      Array.from({ length: MAX_NETWORK_NOTES }, (_, n) => [call, String(n + 1)]),
    );
  }
});

test("a fork of a template tells as well, and a function that takes the hook away ends as before", async () => {
  const code = `
    import { EventEmitter } from "node:events"; import { connect } from "node:net";
    export default async ({ url }) => {
      if (url.endsWith("/broken")) EventEmitter.prototype.listenerCount = () => { throw new Error("mine"); };
      const socket = connect(1, "192.0.2.1");
      return new Response(await new Promise((resolve) => socket.once("error", ({ code }) => resolve(code))));
    };`;
  await using template = await SandboxClient.template(launcher, code);
  const [one, other] = [await template.fork(), await template.fork()];
  assert.equal(await one.text(), "ENETUNREACH");
  assert.equal(await other.text({ path: "/broken" }), "ENETUNREACH");
  assert.deepEqual([one.logs.map(({ source }) => source), other.logs], [["network"], []]);
});
