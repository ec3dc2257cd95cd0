/** Hostile messages from inside of a sandbox, to its socket for names and to its listeners. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { EgressRelay } from "../../sandbox-core/launcher/egress-relay.ts";
import type { ZygoteLauncher } from "../../sandbox-core/launcher/launcher.ts";
import { EgressClient, policyOf } from "../helpers/egress.ts";
import { eventually } from "../helpers/eventually.ts";
import { NAME_SERVER, PORTS, PUBLIC, PublicNet } from "../helpers/public-net.ts";
import { openTestLauncher } from "../helpers/sandbox-client.ts";

const [DATAGRAMS, BATCH, HELLOS] = [2_000, 50, 150];
/** Far more than messages leave behind, far less than they are together. */
const MOST_GROWTH_BYTES = 96 * 1024 * 1024;
const LIMITS = { connections: 50, connectionsPerSecond: 100_000, bytes: 1 << 30 };

let launcher: ZygoteLauncher;
let net: PublicNet;
let relay: EgressRelay;
before(async () => {
  [launcher, net] = await Promise.all([openTestLauncher(), PublicNet.open()]);
  relay = new EgressRelay({ networkNamespace: net.namespace, nameServers: [NAME_SERVER], hostsFile: "/dev/null" });
  net.answer = () => [PUBLIC];
});
after(async () => {
  await Promise.all([launcher.close(), relay.close()]);
  await net[Symbol.asyncDispose]();
});

const TALK = `talk(${PORTS.echo}, "api.example", "hi", 2)`;

/** A hostile function, with numbers that are the same in each run (mulberry32). */
const hostile = (body: string) => `(async () => {
  let seed = 20251130;
  const number = (below) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let x = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) % below;
  };
  const pick = (...all) => all[number(all.length)];
  const noisy = (length) => { const bytes = Buffer.alloc(length); for (let at = 0; at < length; at += 1) bytes[at] = number(256); return bytes; };
  ${body}
})()`;

/** Datagrams, each batch of which is followed by a question that is answered. */
const DATAGRAM_FUZZ = hostile(`
  const socket = dgram.createSocket("udp4");
  const answers = new Map();
  socket.on("message", (m) => answers.get(m.readUInt16BE(0))?.());
  const words = (...parts) => Buffer.from(parts.flatMap((one) => [one >> 8, one & 255]));
  const name = (...labels) => Buffer.concat([...labels.map((l) => Buffer.concat([Buffer.of(l.length), Buffer.from(l, "latin1")])), Buffer.of(0)]);
  const ask = (id, asked, flags = 0x0100, count = 1, tail = words(1, 1)) => Buffer.concat([words(id, flags, count, 0, 0, 0), asked, tail]);
  const good = (id) => ask(id, name("api", "example"));
  const kinds = [
    () => noisy(number(600)),
    () => { const whole = good(1); return whole.subarray(0, number(whole.length)); },
    () => { const whole = good(1); whole[number(whole.length)] = number(256); return whole; },
    () => ask(2, words(0xc00c)),
    () => ask(2, Buffer.concat([Buffer.from([3, 97, 112, 105]), words(0xc00c)])),
    () => ask(2, words(0xc000 | number(16384), 0xc00c)),
    () => ask(3, Buffer.concat(Array.from({ length: 200 }, () => Buffer.concat([name("api", "example"), words(1, 1)]))), 0x0100, pick(0, 2, 200, 65535)),
    () => ask(4, name(...Array.from({ length: number(40) }, () => "x".repeat(1 + number(63))))),
    () => ask(5, name(pick("a\\0b", "api.example", "\\xe4", " ", "API", "*"), "example")),
    () => ask(6, name("api", "example"), pick(0x8000, 0x7800, 0xffff, 0), 1, words(number(65536), number(65536))),
    () => Buffer.concat([good(7), noisy(number(1200))]),
    () => Buffer.alloc(65507, good(8)),
    () => Buffer.alloc(0),
    () => ask(9, name("n" + number(1e9), "any", "example")),
    () => ask(9, name("leak" + number(1e9), "attacker", "example")),
  ];
  const send = (bytes) => new Promise((resolve) => socket.send(bytes, 53, "127.0.0.1", resolve));
  let answered = 0;
  for (let sent = 0, id = 60000; sent < ${DATAGRAMS}; id += 1) {
    for (let at = 0; at < ${BATCH}; at += 1, sent += 1) await send(pick(...kinds)());
    let again;
    await new Promise((resolve) => {
      answers.set(id, resolve);
      const next = () => send(good(id)).then(() => { again = setTimeout(next, 50); });
      next();
    });
    clearTimeout(again);
    answers.delete(id);
    answered += 1;
  }
  socket.close();
  return [answered, await talk(53, "127.0.0.1").catch(code), await talk(53, "api.example").catch(code)];
`);

/** First bytes on 443, where all connections end, and on another port, where the host gets them. */
const HELLO_FUZZ = hostile(`
  const record = (type, length, body) => Buffer.concat([Buffer.from([type, 3, pick(0, 1, 3, 255), length >> 8, length & 255]), body]);
  const kinds = [
    () => noisy(1 + number(2000)),
    () => record(22, number(65536), noisy(number(4000))),
    () => record(22, 4 + number(500), Buffer.concat([Buffer.from([1, number(2), number(256), number(256), 3, 3]), noisy(number(600))])),
    () => Buffer.concat(Array.from({ length: 4000 }, () => record(22, 1, Buffer.of(pick(1, 0))))),
    () => Buffer.concat(Array.from({ length: 8000 }, () => record(22, 0, Buffer.alloc(0)))),
    () => record(pick(20, 21, 23, 24), 10, noisy(10)),
    () => Buffer.from("GET / HTTP/1.1\\r\\nhost: api.example\\r\\n\\r\\n"),
    () => Buffer.from([0x80, 0x2e, 1, 0, 2]),
    () => Buffer.alloc(70000, 22),
  ];
  const open = (port, bytes) => new Promise((resolve) => {
    let back = Buffer.alloc(0);
    const socket = net.connect({ port, host: "api.example", allowHalfOpen: true }, () => socket.end(bytes));
    socket.on("data", (b) => { back = Buffer.concat([back, b]); }).on("error", () => {});
    socket.on("end", () => socket.destroy()).on("close", () => resolve(back));
  });
  const back = { tls: 0, same: 0 };
  for (let at = 0; at < ${HELLOS}; at += 1) {
    const bytes = pick(...kinds)();
    const [tls, echo] = await Promise.all([open(443, bytes), open(${PORTS.echo}, bytes)]);
    back.tls += tls.length;
    if (echo.equals(bytes)) back.same += 1;
  }
  return back;
`);

const RULES = `api.example:443+${PORTS.echo},.any.example:443`;
const open = (tenant: string, expression: string) =>
  EgressClient.open(launcher, relay, policyOf(RULES, { tenant, limits: LIMITS }), expression);

/** Memory and descriptors that the relay holds. */
function held() {
  const [, kib = ""] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${relay.pid}/status`, "utf8")) ?? [];
  return { bytes: Number(kib) * 1_024, descriptors: readdirSync(`/proc/${relay.pid}/fd`).length };
}

/** Runs a hostile function; afterwards the relay serves it and another one, and holds no more. */
async function attack(expression: string): Promise<{ value: unknown; client: EgressClient }> {
  await using other = await open("other", TALK);
  assert.equal(await other.value(), "hi");
  const client = await open(
    "hostile",
    `(globalThis.turn = (globalThis.turn ?? 0) + 1) === 1 ? await ${expression} : await ${TALK}`,
  );
  const { pid } = relay;
  const before = held();
  const value = await client.value();
  assert.equal(await other.value(), "hi");
  assert.equal(await client.value(), "hi");
  assert.equal(relay.pid, pid);
  assert.ok(held().bytes - before.bytes < MOST_GROWTH_BYTES, `grew by ${held().bytes - before.bytes} bytes`);
  await eventually(() => held().descriptors <= before.descriptors);
  return { value, client };
}

test("hostile datagrams to the socket for names: it goes on to answer, and asks nobody", async () => {
  const { value, client } = await attack(DATAGRAM_FUZZ);
  await using _ = client;
  assert.deepEqual(value, [DATAGRAMS / BATCH, { error: "ECONNREFUSED" }, { error: "ECONNREFUSED" }]);
  assert.deepEqual([...net.asked.keys()], ["api.example"]);
});

test("hostile first bytes on 443 reach nobody, and on another port come to the host as they are", async () => {
  const { value, client } = await attack(HELLO_FUZZ);
  await using _ = client;
  assert.deepEqual(value, { tls: 0, same: HELLOS });
  assert.ok(client.events.every(({ kind, port }) => kind === "refused" || port === PORTS.echo));
});
