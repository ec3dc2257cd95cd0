/** Sandboxes that reach what they declare, over a relay in a small internet of the test's own. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import type { EgressPolicy } from "../../../sandbox-core/contract/egress.ts";
import { SandboxError } from "../../../sandbox-core/contract/error.ts";
import { EgressRelay } from "../../../sandbox-core/launcher/egress-relay.ts";
import type { ZygoteLauncher } from "../../../sandbox-core/launcher/launcher.ts";
import { EgressClient, policyOf, talking } from "../../helpers/egress.ts";
import { eventually } from "../../helpers/eventually.ts";
import { NAME_SERVER, OTHER_PUBLIC, PORTS, PRIVATE, PUBLIC, PublicNet } from "../../helpers/public-net.ts";
import { openTestLauncher, SandboxClient } from "../../helpers/sandbox-client.ts";

let launcher: ZygoteLauncher;
let net: PublicNet;
let relay: EgressRelay;
before(async () => {
  [launcher, net] = await Promise.all([openTestLauncher(), PublicNet.open()]);
  relay = new EgressRelay({
    networkNamespace: net.namespace,
    nameServers: [NAME_SERVER],
    hostsFile: "/dev/null",
    platform: [{ host: OTHER_PUBLIC, port: PORTS.echo }],
  });
  net.answer = (name) => (name.startsWith("private") ? [PRIVATE] : name.startsWith("none") ? [] : [PUBLIC]);
});
after(async () => {
  await Promise.all([launcher.close(), relay.close()]);
  await net[Symbol.asyncDispose]();
});

const open = (rules: string, expression: string, more: Partial<EgressPolicy> = {}) =>
  EgressClient.open(launcher, relay, policyOf(rules, more), expression);

/** What the expression gives, and the verdict of what was refused. */
async function refused(rules: string, expression: string, verdict: string, more: Partial<EgressPolicy> = {}) {
  await using client = await open(rules, expression, more);
  const value = await client.value();
  const event = await client.told("refused", verdict);
  assert.ok(event.remedy);
  return { value, event };
}

test("a declared name answers to fetch, getaddrinfo and c-ares; bytes and times are told", async () => {
  await using client = await open(
    `api.example:${PORTS.http}`,
    `[(await fetch("http://api.example/")).status, (await dns.promises.lookup("API.example")).address, await dns.promises.resolve4("api.example")]`,
  );
  client.egress.callBegan("call-1");
  assert.deepEqual(await client.value(), [200, "198.18.0.1", ["198.18.0.1"]]);
  const opened = await client.told("opened");
  assert.deepEqual(
    [opened.call, opened.name, opened.port, opened.address],
    ["call-1", "api.example", PORTS.http, PUBLIC],
  );
  const closed = await client.told("closed");
  assert.deepEqual([closed.id, closed.verdict], [opened.id, "ok"]);
  assert.ok(closed.bytesUp > 50 && closed.bytesDown > 20 && closed.durationMs > 0);
});

test("undeclared names are not found, undeclared ports refused, undeclared addresses without a route", async () => {
  await using client = await open(
    `api.example:${PORTS.echo}`,
    `{
      name: await fetch("http://leak.attacker.example/").catch(code),
      port: await talk(81, "api.example").catch(code),
      address: await talk(80, "8.8.8.8").catch(code),
      private: await talk(80, "10.0.0.1").catch(code),
      metadata: await talk(80, "169.254.169.254").catch(code),
      block: await talk(${PORTS.echo}, "198.18.77.7").catch(code),
      six: await talk(80, "2606:4700::1111").catch(code),
      aaaa: await dns.promises.resolve6("api.example").catch(code),
    }`,
  );
  assert.deepEqual(await client.value(), {
    name: { error: "ENOTFOUND" },
    port: { error: "ECONNREFUSED" },
    address: { error: "ENETUNREACH" },
    private: { error: "ENETUNREACH" },
    metadata: { error: "ENETUNREACH" },
    block: { error: "ECONNRESET" },
    six: { error: "ENETUNREACH" },
    aaaa: { error: "ENODATA" },
  });
  const event = await client.told("refused", "undeclared_name");
  assert.equal(event.name, "leak.attacker.example");
  assert.match(event.remedy ?? "", /Declare leak\.attacker\.example/);
  assert.equal(net.asked.has("leak.attacker.example"), false);
});

test("without egress everything fails at once as it did", async () => {
  const look = (name: string) => `(await import("node:dns")).promises.${name}("api.example")`;
  assert.deepEqual(await SandboxClient.evaluate(launcher, look("lookup")), { error: "ENOTFOUND" });
  assert.deepEqual(await SandboxClient.evaluate(launcher, look("resolve4")), { error: "ECONNREFUSED" });
});

test("a declared name on a port that another one declared is refused there", async () => {
  const { value, event } = await refused(
    `a.example:${PORTS.echo},b.example:${PORTS.sink}`,
    `talk(${PORTS.sink}, "a.example")`,
    "undeclared_port",
  );
  assert.deepEqual(value, { error: "ECONNRESET" });
  assert.match(event.remedy ?? "", /a\.example:7001/);
});

test("names at private addresses are refused, unless their range was granted", async () => {
  const rules = `private.example:${PORTS.echo}`;
  const { event } = await refused(rules, `talk(${PORTS.echo}, "private.example")`, "private_address");
  assert.equal(event.address, PRIVATE);
  await using granted = await open(rules, `talk(${PORTS.echo}, "private.example", "hi", 2)`, {
    privateRanges: ["10.9.0.0/16"],
  });
  assert.equal(await granted.value(), "hi");
  const privateNames = [{ to: { kind: "name" as const, name: "private.example" }, range: "10.9.0.0/16" }];
  await using named = await open(rules, `talk(${PORTS.echo}, "private.example", "hi", 2)`, { privateNames });
  assert.equal(await named.value(), "hi");
  const others = [{ to: { kind: "name" as const, name: "other.example" }, range: "10.9.0.0/16" }];
  await refused(rules, `talk(${PORTS.echo}, "private.example")`, "private_address", { privateNames: others });
});

test("a declared address is reached without a name, and public reaches any but private ones", async () => {
  await using client = await open(
    `${PUBLIC}:${PORTS.echo},public`,
    `[await talk(${PORTS.echo}, "${PUBLIC}", "hi", 2), (await fetch("http://${OTHER_PUBLIC}/")).status, (await fetch("http://any.example/")).status, await talk(80, "${PRIVATE}").catch(code), await talk(80, "192.168.0.1").catch(code)]`,
  );
  const none = { error: "ENETUNREACH" };
  assert.deepEqual(await client.value(), ["hi", 200, 200, none, none]);
});

test("what is always refused is refused: mail, the platform, names that nobody knows, hosts that nobody is at", async () => {
  await refused(`api.example:${PORTS.mail}`, `talk(${PORTS.mail}, "api.example")`, "reserved_port");
  await refused(`${OTHER_PUBLIC}:${PORTS.echo}`, `talk(${PORTS.echo}, "${OTHER_PUBLIC}")`, "platform_address", {
    privateRanges: ["46.0.0.0/8"],
  });
  await refused(`none.example:${PORTS.echo}`, `talk(${PORTS.echo}, "none.example")`, "unresolved");
  await refused(`api.example:${PORTS.nobody}`, `talk(${PORTS.nobody}, "api.example")`, "unreachable");
  const deny = [{ to: { kind: "suffix" as const, suffix: ".example" }, ports: [PORTS.echo] }];
  await refused(`api.example:${PORTS.echo}`, `talk(${PORTS.echo}, "api.example")`, "denied", { deny });
  const network = { to: { kind: "network" as const, network: "45.1.0.0/16" }, ports: [] };
  const { event } = await refused(`api.example:${PORTS.echo}`, `talk(${PORTS.echo}, "api.example")`, "denied", {
    deny: [network],
  });
  assert.equal(event.address, PUBLIC);
});

test("many bytes pass, both ways, and an end on one side is an end on the other", async () => {
  await using client = await open(
    `api.example:${PORTS.echo}`,
    `await new Promise((resolve, reject) => {
      const socket = net.connect({ port: ${PORTS.echo}, host: "api.example" });
      const piece = Buffer.alloc(65536, "x");
      let left = 200, got = 0;
      const more = () => { while (left > 0) { left -= 1; if (!socket.write(piece)) return socket.once("drain", more); } socket.end(); };
      socket.on("connect", more).on("error", reject).on("data", (b) => { got += b.length; }).on("end", () => resolve(got));
    })`,
  );
  assert.equal(await client.value(), 200 * 65_536);
  const { bytesUp, bytesDown, verdict } = await client.told("closed");
  assert.deepEqual([bytesUp, bytesDown, verdict], [200 * 65_536, 200 * 65_536, "ok"]);
});

test("limits hold: connections at once, in a second, and bytes of a call", async () => {
  const limits = { connections: 3, connectionsPerSecond: 200, bytes: 1 << 30 };
  const many = (count: number) =>
    `await Promise.all(Array.from({ length: ${count} }, () => talk(${PORTS.echo}, "api.example", "hi", 2).then((t) => t, code)))`;
  const hold = `await Promise.all(Array.from({ length: 5 }, () => new Promise((resolve) => { const s = net.connect(${PORTS.echo}, "api.example"); kept.push(s); s.on("connect", () => s.write("x")).on("data", () => resolve("held")).on("error", (e) => resolve(code(e))); })))`;
  await using atOnce = await open(`api.example:${PORTS.echo}`, hold, { limits });
  assert.equal(((await atOnce.value()) as unknown[]).filter((one) => one === "held").length, 3);
  await atOnce.told("refused", "too_many_connections");
  await using rated = await open(`api.example:${PORTS.echo}`, many(12), {
    limits: { ...limits, connections: 50, connectionsPerSecond: 2 },
  });
  await rated.value();
  await rated.told("refused", "connection_rate");
  await using fed = await open(`api.example:${PORTS.echo}`, `talk(${PORTS.echo}, "api.example", "x".repeat(100_000))`, {
    limits: { ...limits, bytes: 50_000 },
  });
  assert.deepEqual(await fed.value(), { error: "ECONNRESET" });
  await fed.told("closed", "bytes_limit");
});

test("sandboxes of one tenant have its limits together, and another tenant has its own", async () => {
  const settings = { networkNamespace: net.namespace, nameServers: [NAME_SERVER], hostsFile: "/dev/null" };
  await using limited = new EgressRelay({ ...settings, tenantLimits: { bytesPerHour: 50_000 } });
  const send = (tenant: string, bytes: number) =>
    EgressClient.open(
      launcher,
      limited,
      policyOf(`api.example:${PORTS.echo}`, { tenant }),
      `talk(${PORTS.echo}, "api.example", "x".repeat(${bytes}), ${bytes}).then((text) => text.length)`,
    );
  await using first = await send("acme", 20_000);
  assert.equal(await first.value(), 20_000);
  await using second = await send("acme", 20_000);
  assert.deepEqual(await second.value(), { error: "ECONNRESET" });
  await second.told("closed", "tenant_bytes");
  assert.deepEqual(await first.value(), { error: "ECONNRESET" });
  await first.told("refused", "tenant_bytes");
  await using other = await send("other", 20_000);
  assert.equal(await other.value(), 20_000);
});

test("a call that ends with its connections has them closed, and one that ends well does not", async () => {
  const rules = `api.example:${PORTS.echo}`;
  const hold = `await new Promise((resolve) => { const s = net.connect(${PORTS.echo}, "api.example"); kept.push(s); s.on("error", () => {}).on("close", () => { s.gone = true; }).on("data", () => resolve(kept.length)).on("connect", () => s.write("x")); })`;
  await using client = await open(rules, hold);
  client.egress.callBegan("one");
  await client.value();
  client.egress.callEnded("one", { close: false });
  const kept = await client.told("kept");
  assert.deepEqual([kept.call, kept.bytesUp, kept.bytesDown], ["one", 1, 1]);
  client.egress.callBegan("two");
  await client.value();
  client.egress.callEnded("two", { close: true });
  assert.equal((await client.told("closed", "call_ended")).call, "two");
  assert.equal(client.events.filter(({ kind }) => kind === "closed").length, 1);
  client.client.sandbox.kill("the test ends it");
  await eventually(() => client.events.some(({ kind, call }) => kind === "closed" && call === "one"));
});

test("the relay's death resets what was open, and the next one serves what comes", async () => {
  await using client = await open(
    `api.example:${PORTS.echo}`,
    `kept.length === 0
      ? await new Promise((resolve) => { const s = net.connect(${PORTS.echo}, "api.example"); kept.push(s); s.on("error", (e) => { s.why = e.code; }).on("data", () => resolve("open")).on("connect", () => s.write("x")); })
      : [kept[0].why ?? kept[0].destroyed, await talk(${PORTS.echo}, "api.example", "hi", 2)]`,
  );
  assert.equal(await client.value(), "open");
  process.kill(relay.pid as number, "SIGKILL");
  await client.told("closed", "relay_died");
  assert.deepEqual(await client.value(), ["ECONNRESET", "hi"]);
});

test("a relay that hangs is ended, and the next one serves what comes", async () => {
  await using client = await open(`api.example:${PORTS.echo}`, `talk(${PORTS.echo}, "api.example", "hi", 2)`);
  assert.equal(await client.value(), "hi");
  const pid = relay.pid as number;
  process.kill(pid, "SIGSTOP");
  await eventually(() => relay.pid !== undefined && relay.pid !== pid);
  assert.equal(await client.value(), "hi");
});

test("the relay is nobody: no capability, no new rights, a filter on every thread, no descriptor too many", async () => {
  await using client = await open(`api.example:${PORTS.echo}`, `talk(${PORTS.echo}, "api.example", "hi", 2)`);
  await client.value();
  await eventually(() => relay.pid !== undefined);
  const status = readFileSync(`/proc/${relay.pid}/status`, "utf8");
  for (const line of [
    /^CapEff:\t0{16}$/m,
    /^CapPrm:\t0{16}$/m,
    /^CapAmb:\t0{16}$/m,
    /^NoNewPrivs:\t1$/m,
    /^Seccomp:\t2$/m,
    /^Groups:\t *$/m,
  ])
    assert.match(status, line);
  assert.doesNotMatch(status, /^Uid:.*\t0\b/m);
});

test("a policy that is none is refused before anything is made", async () => {
  const client = await SandboxClient.blank(launcher);
  const bad: Partial<EgressPolicy>[] = [
    { rules: [{ to: { kind: "name", name: "UPPER.example" }, ports: [1] }] },
    { rules: [{ to: { kind: "name", name: "a.example." }, ports: [1] }] },
    { rules: [{ to: { kind: "name", name: "1.2.3.4" }, ports: [1] }] },
    { rules: [{ to: { kind: "suffix", suffix: "a.example" }, ports: [1] }] },
    { rules: [{ to: { kind: "address", address: "127.0.0.1" }, ports: [1] }] },
    { rules: [{ to: { kind: "address", address: "::1" }, ports: [1] }] },
    { rules: [{ to: { kind: "public" }, ports: [] }] },
    { rules: [{ to: { kind: "public" }, ports: [65_536] }] },
    { rules: [{ to: { kind: "public" }, ports: Array.from({ length: 65 }, (_, index) => index + 1) }] },
    { rules: [{ to: { kind: "network", network: "8.8.8.0/24" }, ports: [1] }] },
    { deny: [{ to: { kind: "network", network: "8.8.8.0/33" }, ports: [] }] },
    { privateRanges: ["10.0.0.0/33"] },
    { limits: { connections: 0, connectionsPerSecond: 1, bytes: 1 } },
  ];
  for (const one of bad)
    await assert.rejects(
      relay.open(client.sandbox, policyOf("a.example:1", one), () => undefined),
      SandboxError,
    );
  await client[Symbol.asyncDispose]();
  await assert.rejects(
    relay.open(client.sandbox, policyOf("a.example:1"), () => undefined),
    /ended/,
  );
});

test("a sandbox that was launched with other sockets than its policy needs gets these", async () => {
  const launched = relay.socketsOf(policyOf(`a.example:${PORTS.sink}`));
  await using client = await SandboxClient.blank(launcher, {}, launched);
  const policy = policyOf(`a.example:${PORTS.sink}+${PORTS.echo}`);
  await relay.open(client.sandbox, policy, () => undefined);
  await client.load(talking(`talk(${PORTS.echo}, "a.example", "over", 4)`));
  assert.equal(JSON.parse(await client.text()), "over");
});
