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

/** A hello of TLS 1.3 (RFC 8446, 4.1.2) that names api.example, with further extensions. */
function helloWith(...extensions: [kind: number, bytes: Buffer][]): Buffer {
  const u16 = (value: number) => Buffer.from([value >> 8, value & 0xff]);
  const name = Buffer.from("api.example");
  const named = Buffer.concat([u16(name.length + 3), Buffer.from([0]), u16(name.length), name]);
  const all = ([[0, named], ...extensions] as const).map(([kind, bytes]) =>
    Buffer.concat([u16(kind), u16(bytes.length), bytes]),
  );
  const list = Buffer.concat(all);
  const start = [Buffer.from([3, 3]), Buffer.alloc(32, 7), Buffer.from([0, 0, 2, 0x13, 1, 1, 0])];
  const body = Buffer.concat([...start, u16(list.length), list]);
  const message = Buffer.concat([Buffer.from([1, 0]), u16(body.length), body]);
  return Buffer.concat([Buffer.from([22, 3, 1]), u16(message.length), message]);
}

/** Sends bytes to a declared name on 443, one piece after the other, and gives what comes back. */
const sendPieces = (bytes: Buffer, piece: number) => `await new Promise((resolve) => {
  const bytes = Buffer.from("${bytes.toString("base64")}", "base64");
  const socket = net.connect({ host: "api.example", port: 443, noDelay: true });
  let at = 0;
  const next = () => { if (at < bytes.length) socket.write(bytes.subarray(at, at += ${piece}), () => setImmediate(next)); };
  socket.on("connect", next).on("error", (e) => resolve(e.code)).on("data", (data) => resolve(String(data)));
})`;

test("a hello of 16 KiB, with what clients make up (GREASE), comes to its host in any pieces", async () => {
  const grease: [number, Buffer][] = [0x0a0a, 0x1a1a, 0xfafa].map((kind) => [kind, Buffer.alloc(1, kind)]);
  const padding = (bytes: number): [number, Buffer] => [21, Buffer.alloc(bytes)];
  const rest = helloWith(...grease, padding(0)).length;
  const longest = helloWith(...grease, padding(16_384 + 5 - rest));
  await using whole = await open("api.example:443", sendPieces(longest, 1 << 20));
  assert.match(String(await whole.value()), /^saw /);
  await using pieces = await open("api.example:443", sendPieces(longest, 97));
  assert.match(String(await pieces.value()), /^saw /);
  const longer = helloWith(...grease, padding(16_385 + 5 - rest));
  await using refused = await open("api.example:443", sendPieces(longer, 1 << 20));
  assert.equal(await refused.value(), "ECONNRESET");
  await refused.told("refused", "no_tls");
});

test("a hello with another one in it, encrypted, comes to nobody", async () => {
  for (const kind of [0xfe0d, 0xffce]) {
    await using client = await open("api.example:443", sendPieces(helloWith([kind, Buffer.alloc(64, 1)]), 1 << 20));
    assert.equal(await client.value(), "ECONNRESET");
    await client.told("refused", "encrypted_hello");
  }
});

test("an address that stands for a name elsewhere stands for nothing here, also where all is public", async () => {
  await using other = await open(`api.example:${PORTS.echo}`, `(await dns.promises.lookup("api.example")).address`);
  const standIn = String(await other.value());
  await using client = await open("public", `talk(80, "${standIn}").catch(code)`);
  assert.deepEqual(await client.value(), { error: "ECONNRESET" });
  await client.told("refused", "undeclared_address");
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

test("a flood of lookups is read at a pace, and others have theirs answered", async () => {
  await using flooder = await open(
    `api.example:${PORTS.echo}`,
    `(async () => {
      const socket = dgram.createSocket("udp4");
      const question = Buffer.from("00010100000100000000000003617069076578616d706c650000010001", "hex");
      const last = Buffer.from(question.with(1, 2));
      let answers = 0;
      const answered = new Promise((resolve) => socket.on("message", (bytes) => { answers += 1; if (bytes[1] === 2) resolve(); }));
      const startedMs = performance.now();
      for (let round = 0; round < 400; round++) {
        for (let n = 0; n < 50; n++) socket.send(question, 53, "127.0.0.1");
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      const seconds = (performance.now() - startedMs) / 1000;
      const inFlood = answers;
      // Until it has its turn: the queue may be full.
      const asking = setInterval(() => socket.send(last, 53, "127.0.0.1"), 10);
      await answered;
      clearInterval(asking);
      socket.close();
      return { answers: inFlood, seconds };
    })()`,
  );
  await using other = await open(`api.example:${PORTS.echo}`, `talk(${PORTS.echo}, "api.example", "hi", 2)`);
  const flood = flooder.value();
  assert.equal(await other.value(), "hi");
  const { answers, seconds } = (await flood) as { answers: number; seconds: number };
  // 400 at once, 200 a second and one before each pause, however long the flood took here.
  assert.ok(answers > 0 && answers <= 401 + 220 * seconds, `${answers} in ${seconds} s`);
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
