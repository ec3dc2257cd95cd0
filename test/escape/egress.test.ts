/** A tenant's attempts against a relay: undeclared hosts, other names in TLS, floods. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { EgressRelay } from "../../sandbox-core/launcher/egress-relay.ts";
import type { ZygoteLauncher } from "../../sandbox-core/launcher/launcher.ts";
import { EgressClient, policyOf } from "../helpers/egress.ts";
import { eventually } from "../helpers/eventually.ts";
import { NAME_SERVER, PORTS, PRIVATE, PUBLIC, PublicNet } from "../helpers/public-net.ts";
import { openTestLauncher } from "../helpers/sandbox-client.ts";

let launcher: ZygoteLauncher;
let net: PublicNet;
let relay: EgressRelay;
before(async () => {
  [launcher, net] = await Promise.all([openTestLauncher(), PublicNet.open()]);
  relay = new EgressRelay({ networkNamespace: net.namespace, nameServers: [NAME_SERVER], hostsFile: "/dev/null" });
  // A name that turns: public when it is looked at, private when it is used.
  net.answer = (name, before) => (name.startsWith("turning") && before > 0 ? [PRIVATE] : [PUBLIC]);
});
after(async () => {
  await Promise.all([launcher.close(), relay.close()]);
  await net[Symbol.asyncDispose]();
});

const open = (rules: string, expression: string) => EgressClient.open(launcher, relay, policyOf(rules), expression);

/** A TLS client that connects to a declared name and names another host, or none. */
const hello = (options: string) => `await new Promise((resolve) => {
  const socket = tls.connect({ host: "api.example", port: 443, rejectUnauthorized: false, ${options} });
  socket.on("error", (e) => resolve(e.code)).on("close", () => resolve("closed"));
})`;

test("on 443 the name in the hello is the name that was looked up", async () => {
  await using good = await open("api.example:443", hello(`servername: "API.example"`));
  await good.value();
  // The server speaks no TLS: that the hello came to it is told.
  assert.equal((await good.told("opened")).address, PUBLIC);
  await using other = await open("api.example:443,b.example:443", hello(`servername: "b.example"`));
  assert.equal(await other.value(), "ECONNRESET");
  await other.told("refused", "wrong_server_name");
  await using none = await open("api.example:443", hello(`servername: ""`));
  assert.equal(await none.value(), "ECONNRESET");
  await none.told("refused", "no_server_name");
  await using plain = await open("api.example:443", `talk(443, "api.example", "GET / HTTP/1.1\\r\\n\\r\\n")`);
  assert.deepEqual(await plain.value(), { error: "ECONNRESET" });
  await plain.told("refused", "no_tls");
  for (const client of [other, none, plain]) assert.ok(client.events.every(({ kind }) => kind === "refused"));
});

test("a name that turns private between two connections is refused at the second", async () => {
  await using client = await open(`turning.example:${PORTS.echo}`, `talk(${PORTS.echo}, "turning.example", "hi", 2)`);
  assert.equal(await client.value(), "hi");
  // The answer may be used for a second, whatever it says of itself.
  await eventually(() => client.value().then((value) => value !== "hi"));
  assert.equal((await client.told("refused", "private_address")).address, PRIVATE);
});

test("a scan of ports and addresses finds what was declared, and nothing else", async () => {
  await using client = await open(
    `api.example:${PORTS.echo}`,
    `(async () => {
      await dns.promises.lookup("api.example");
      const found = [];
      const look = (host, port) => talk(port, host, "x", 1).then(() => found.push(host + ":" + port), () => 0);
      for (let port = 1; port < 9000; port += 500) await Promise.all(Array.from({ length: 500 }, (_, i) => look("198.18.0.1", port + i)));
      for (const host of ["10.9.1.1", "127.0.0.1", "198.18.0.2", "45.1.2.3", "169.254.169.254"]) await look(host, ${PORTS.echo});
      return found;
    })()`,
  );
  assert.deepEqual(await client.value(), [`198.18.0.1:${PORTS.echo}`]);
});

test("nothing inside takes, closes or shares the relay's sockets", async () => {
  await using client = await open(
    `api.example:${PORTS.echo}`,
    `(async () => {
      const listen = (options) => new Promise((resolve) => { const s = net.createServer().on("error", (e) => resolve(e.code)).listen(options, () => { s.close(); resolve("listens"); }); });
      const bind = (options) => new Promise((resolve) => { const s = dgram.createSocket({ type: "udp4", ...options }).on("error", (e) => resolve(e.code)).bind(53, "127.0.0.1", () => { s.close(); resolve("bound"); }); });
      return [
        await listen({ port: ${PORTS.echo} }),
        await listen({ port: ${PORTS.echo}, host: "198.18.0.1" }),
        await listen({ port: ${PORTS.echo}, host: "127.0.0.1", reusePort: true }),
        await bind({ reuseAddr: true }), await bind({ reusePort: true }),
        await talk(${PORTS.echo}, "api.example", "hi", 2),
      ];
    })()`,
  );
  const inUse = "EADDRINUSE";
  assert.deepEqual(await client.value(), [inUse, inUse, inUse, "EACCES", "EACCES", "hi"]);
});

test("a flood of refusals is counted, not told, and others go on", async () => {
  await using client = await open(
    `api.example:${PORTS.echo}`,
    `(async () => {
      for (let round = 0; round < 10; round++) await Promise.all(Array.from({ length: 50 }, (_, i) => dns.promises.lookup(round + "x" + i + ".example").catch(() => 0)));
      return await talk(${PORTS.echo}, "api.example", "hi", 2);
    })()`,
  );
  assert.equal(await client.value(), "hi");
  assert.ok(client.events.filter(({ kind }) => kind === "refused").length < 400);
  assert.equal(net.asked.has("0x0.example"), false);
});

test("what holds its connections open at the hello or unread takes nothing from another sandbox", async () => {
  await using holder = await open(
    `api.example:443+${PORTS.echo}`,
    `(async () => {
      await Promise.all(Array.from({ length: 20 }, () => new Promise((resolve) => {
        const s = net.connect(443, "api.example", () => { s.write(Buffer.from([22, 3, 1])); resolve(); }).on("error", resolve);
        kept.push(s);
      })));
      await Promise.all(Array.from({ length: 20 }, () => new Promise((resolve) => {
        const s = net.connect(${PORTS.echo}, "api.example", () => { s.pause(); s.write(Buffer.alloc(1 << 20)); resolve(); }).on("error", resolve);
        kept.push(s);
      })));
      return kept.length;
    })()`,
  );
  assert.equal(await holder.value(), 40);
  await using other = await open(`api.example:${PORTS.echo}`, `talk(${PORTS.echo}, "api.example", "hi", 2)`);
  assert.equal(await other.value(), "hi");
});
