/**
 * Requirement 16: real servers of the host, and well-known addresses, tried from inside. Loopback
 * is the sandbox's own.
 */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { ZygoteLauncher } from "../../sandbox-core/launcher/launcher.ts";
import { startTestGateway, type TestGateway } from "../helpers/gateway.ts";
import { openTestLauncher, SandboxClient } from "../helpers/sandbox-client.ts";
import { tempDir } from "../helpers/temp-dir.ts";

let launcher: ZygoteLauncher;
let gateway: TestGateway;
const servers: Server[] = [];
/** Connections that should never come. */
let reached = 0;

before(async () => {
  launcher = await openTestLauncher();
  gateway = await startTestGateway();
});
after(async () => {
  for (const server of servers) server.close();
  await gateway.stop();
  await launcher.close();
  assert.equal(reached, 0);
});

async function listen(where: string | { host: string; port: number }): Promise<Server> {
  const server = createServer((socket) => {
    reached += 1;
    socket.destroy();
  });
  server.listen(where);
  await once(server, "listening");
  servers.push(server);
  return server;
}

/** What comes of a connection from inside. */
const connect = (to: string) =>
  SandboxClient.evaluate(launcher, `once(net.connect(${to}), "connect").then(() => "connected")`);

describe("(16) from a sandbox", () => {
  for (const [what, address] of [
    ["the cloud's metadata", "169.254.169.254"],
    ["another link-local address", "169.254.1.1"],
    ["a private address", "10.0.0.1"],
    ["a public address", "198.51.100.1"],
    ["a multicast address", "224.0.0.1"],
    ["a link-local address of IPv6", "fe80::1%lo"],
    ["the cloud's metadata of IPv6", "fd00:ec2::254"],
    ["a public address of IPv6", "2001:db8::1"],
  ] as const)
    it(`${what} is no place that can be reached`, async () => {
      const { error } = (await connect(`80, "${address}"`)) as { error: string };
      assert.match(error, /^(ENETUNREACH|EADDRNOTAVAIL|EHOSTUNREACH|EINVAL|EACCES)$/);
    });

  it("no packet leaves: UDP goes nowhere either", async () => {
    const server = createSocket("udp4").on("message", () => {
      reached += 1;
    });
    server.bind(0, "0.0.0.0");
    await once(server, "listening");
    const addresses = [...hostAddresses(), "169.254.169.254", "255.255.255.255"];
    const send = (address: string) =>
      `new Promise((done) => { const s = dgram.createSocket("udp4"); s.send("x", ${server.address().port}, "${address}", (e) => { s.close(); done(e?.code ?? "sent"); }); })`;
    for (const address of addresses)
      assert.match(
        String(await SandboxClient.evaluate(launcher, send(address))),
        /^(ENETUNREACH|EACCES|EPERM)$/,
        address,
      );
    server.close();
  });

  it("the host's servers do not answer: on its addresses, on loopback, by a name in a file system, by an abstract name", async () => {
    const tcp = await listen({ host: "0.0.0.0", port: 0 });
    const { port } = tcp.address() as { port: number };
    for (const address of hostAddresses())
      assert.deepEqual(await connect(`${port}, "${address}"`), { error: "ENETUNREACH" });
    assert.deepEqual(await connect(`${port}, "127.0.0.1"`), { error: "ECONNREFUSED" });
    assert.deepEqual(await connect(`${port}, "localhost"`), { error: "ECONNREFUSED" });
    const path = join(tempDir(), "host.sock");
    await listen(path);
    assert.deepEqual(await connect(`"${path}"`), { error: "ENOENT" });
    await listen("\0sandpiper-test-host");
    const { error } = (await connect(`"\\0sandpiper-test-host"`)) as { error: string };
    assert.match(error, /^(ECONNREFUSED|EPERM)$/);
  });

  it("Redis and the gateway are nowhere", async () => {
    assert.deepEqual(await connect(`"${gateway.redis.url.slice("unix://".length)}"`), { error: "ENOENT" });
    for (const port of [6379, gateway.gateway.port])
      assert.deepEqual(await connect(`${port}, "127.0.0.1"`), { error: "ECONNREFUSED" });
    const fetched = await SandboxClient.evaluate(
      launcher,
      `fetch("${gateway.url}/healthz").catch((e) => e.cause.code)`,
    );
    assert.equal(fetched, "ECONNREFUSED");
  });

  it("no name is looked up", async () => {
    for (const name of ["example.com", "metadata.google.internal", "redis"])
      assert.match(
        String(await SandboxClient.evaluate(launcher, `fetch("http://${name}").catch((e) => e.cause.code)`)),
        /^(ENOTFOUND|EAI_AGAIN)$/,
      );
  });

  it("there is one interface, and it leads back to the sandbox", async () => {
    const seen = (await SandboxClient.evaluate(launcher, `os.networkInterfaces()`)) as { error?: string };
    // The list comes from netlink, which is not to be had.
    assert.ok(seen.error !== undefined || Object.keys(seen).every((name) => name === "lo"), JSON.stringify(seen));
  });
});

/** The addresses of IPv4 that this machine has. */
function hostAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses = []) => addresses)
    .filter(({ family, internal }) => family === "IPv4" && !internal)
    .map(({ address }) => address);
}
