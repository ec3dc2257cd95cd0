/** Egress of boxes: programs of the host reach what is declared by its name, and leave nothing. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { policyOfBox } from "../../../sandbox-core/box/egress.ts";
import { EgressSocketsError } from "../../../sandbox-core/contract/error.ts";
import { Box, type BoxEgress, type BoxRunOptions, type EgressEvent, Zygote } from "../../../sandbox-core/index.ts";
import { socketsOf } from "../../../sandbox-core/launcher/egress-policy.ts";
import { rulesOf } from "../../helpers/egress.ts";
import { eventually } from "../../helpers/eventually.ts";
import { FaultyLauncher } from "../../helpers/faults.ts";
import { NAME_SERVER, PORTS, PRIVATE, PUBLIC, PublicNet } from "../../helpers/public-net.ts";
import { LIMITS } from "../../helpers/sandbox-client.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

let net: PublicNet;
let zygote: Zygote;
before(async () => {
  net = await PublicNet.open();
  net.answer = (name) => (name.startsWith("inner") ? [PRIVATE] : [PUBLIC]);
  zygote = await Zygote.open({
    egress: { networkNamespace: net.namespace, nameServers: [NAME_SERVER], hostsFile: "/dev/null" },
  });
});
after(async () => {
  await zygote.close();
  await net[Symbol.asyncDispose]();
});

/** Runs a shell script with egress; what it wrote, and what was told. */
async function sh(script: string, rules: string, more: Partial<BoxEgress & BoxRunOptions> = {}) {
  const { privateRanges = [], limits, ...options } = more;
  const events: EgressEvent[] = [];
  const egress = { rules: rulesOf(rules), privateRanges, onEvent: (event: EgressEvent) => void events.push(event) };
  const { stdout, stderr, ...end } = await Box.run(zygote, {
    argv: ["sh", "-c", script],
    egress: { ...egress, ...(limits && { limits }) },
    ...options,
  });
  return { ...end, stdout: stdout.toString(), stderr: stderr.toString(), events };
}

const refusals = (events: readonly EgressEvent[]) =>
  events.filter(({ kind }) => kind === "refused").map(({ name, verdict }) => `${name} ${verdict}`);

/** A script of Node's that prints what a host answers. */
const FETCH = `fetch(process.argv[1]).then((r) => r.text(), (e) => e.cause.code).then(console.log)`;

describe("a program of the host", () => {
  test("looks a declared name up and connects, from its first moment on", async () => {
    const { stdout, events } = await sh('getent ahostsv4 api.example | head -1; node -e "$0" 2>&1', "api.example:80", {
      argv: ["sh", "-c", `getent ahostsv4 api.example | head -1; node -e '${FETCH}' http://api.example/`],
    });
    assert.match(stdout, new RegExp(`^198\\.1[89]\\.\\d+\\.\\d+ +STREAM api\\.example\n${PUBLIC}\n$`));
    assert.deepEqual(events.map(({ kind, name, address }) => [kind, name, address]).slice(0, 1), [
      ["opened", "api.example", PUBLIC],
    ]);
  });

  for (const [program, script] of [
    ["curl", "curl -sS http://api.example/"],
    [
      "python3",
      `python3 -c 'import urllib.request as u; print(u.urlopen("http://api.example/").read().decode(), end="")'`,
    ],
    ["git", "git ls-remote http://api.example/x.git"],
  ] as const)
    test(`is ${program}, unchanged`, async (context) => {
      const path = `/usr/bin/${program}`;
      if (!existsSync(path)) return context.skip(`there is no ${path}`);
      const { stdout, stderr, events } = await sh(script, "api.example:80");
      assert.ok(
        events.some(({ kind }) => kind === "opened"),
        stdout + stderr,
      );
      // The server knows no repository.
      if (program !== "git") assert.equal(stdout, PUBLIC);
    });

  test("finds no other name, port or address, and each is told by the end", async () => {
    const { stdout, events } = await sh("", `api.example:80,inner.example:80`, {
      argv: [
        "node",
        "-e",
        `const run = async () => { for (const url of process.argv.slice(1)) console.log(await fetch(url).then((r) => r.status, (e) => e.cause.code)); }; run();`,
        ...["http://other.example/", "http://api.example:81/", `http://${PUBLIC}/`, "http://inner.example/"],
      ],
    });
    assert.deepEqual(stdout.split("\n"), ["ENOTFOUND", "ECONNREFUSED", "ENETUNREACH", "ECONNRESET", ""]);
    assert.deepEqual(refusals(events), ["other.example undeclared_name", "inner.example private_address"]);
    assert.ok(!net.asked.has("other.example"));
  });

  test("reaches a private address by its range, and a root's own resolver is not asked", async () => {
    const root = mkdtempSync(join(tempDir(), "root-"));
    await chmod(root, 0o755);
    const shown = ["usr", "bin", "lib", "lib64"].filter((name) => existsSync(`/${name}`));
    for (const name of ["dev", "etc", "proc", "tmp", ...shown]) mkdirSync(join(root, name));
    writeFileSync(join(root, "etc/resolv.conf"), "nameserver 192.0.2.1\n");
    const { stdout, stderr } = await sh("", "inner.example:80", {
      privateRanges: ["10.9.0.0/16"],
      argv: ["node", "-e", FETCH, "http://inner.example/"],
      root: { directory: root },
      binds: shown.map((name) => ({ source: `/${name}`, target: `/${name}` })),
    });
    assert.equal(stdout, `${PRIVATE}\n`, stderr);
  });
});

test("limits of a box hold for its connections and bytes", async () => {
  const script = `
    const net = require("net");
    const sockets = [1, 2, 3].map(() => net.connect(${PORTS.echo}, "api.example"));
    const seen = { reset: 0, bytes: 0 };
    for (const socket of sockets) socket.on("error", () => seen.reset++).on("data", (d) => { seen.bytes += d.length; socket.write(d); }).on("connect", () => socket.write("x".repeat(1000)));
    Promise.all(sockets.map((socket) => new Promise((resolve) => socket.on("close", resolve)))).then(() => console.log(seen.reset, seen.bytes > 0 && seen.bytes < 20_000));`;
  const { stdout, events } = await sh("", `api.example:${PORTS.echo}`, {
    argv: ["node", "-e", script],
    limits: { connections: 2, bytes: 10_000 },
  });
  assert.equal(stdout, "3 true\n");
  assert.deepEqual(refusals(events), ["api.example too_many_connections"]);
  assert.ok(events.some(({ verdict }) => verdict === "bytes_limit"));
});

test("a box that ends has its connections ended, and nothing of it is left", async () => {
  const descriptors = () => readdirSync("/proc/self/fd").length;
  await sh("true", "api.example:80");
  const before = descriptors();
  const events: EgressEvent[] = [];
  const script = `require("net").connect(${PORTS.echo}, "api.example").write("x"); setInterval(() => {}, 1e6);`;
  const box = await Box.start(zygote, {
    argv: ["node", "-e", script],
    egress: { rules: rulesOf(`api.example:${PORTS.echo}`), onEvent: (event) => void events.push(event) },
  });
  await eventually(() => events.some(({ kind }) => kind === "opened"));
  box.kill();
  await box.ended;
  for (const stream of [box.stdout, box.stderr]) stream.resume();
  // The kernel closes the box's end, which the relay may see before it hears of the end.
  await eventually(() => events.some(({ kind }) => kind === "closed"));
  await eventually(() => descriptors() <= before);
});

test("boxes that end before their sockets are taken leave none", async () => {
  const descriptors = () => readdirSync("/proc/self/fd").length;
  const before = descriptors();
  const ends = await Promise.all(Array.from({ length: 16 }, () => sh("true", "api.example:80+81+82")));
  assert.deepEqual([...new Set(ends.map(({ outcome }) => outcome))], ["ok"]);
  await eventually(() => descriptors() <= before);
});

test("a box without egress has no route out, and one in the host's network takes none", async () => {
  const { stdout } = await Box.run(zygote, { argv: ["node", "-e", FETCH, `http://${PUBLIC}/`] });
  assert.equal(stdout.toString(), "ENETUNREACH\n");
  const both = { argv: ["true"], network: "host", egress: { rules: rulesOf("api.example:80") } } as const;
  await assert.rejects(Box.run(zygote, both), /leave out egress/);
});

/** Calls of a fork that make routes and sockets, and send these to the holder. */
const MAKING = ["socket", "bind", "listen", "sendDescriptors"];
/** Two ports: a socket for routes, two calls for names, three for each port, and the message. */
const CALLS_OF_TWO_PORTS = 10;

test("a box whose sockets cannot be made is none, and its program never runs", async () => {
  await using faulty = await FaultyLauncher.open();
  const { launcher } = faulty;
  const program = {
    argv: ["/usr/bin/env"],
    env: {},
    binds: [],
    workingDirectory: "/",
    root: "usr",
    policy: "command",
  } as const;
  const egress = socketsOf(policyOfBox({ rules: rulesOf("api.example:80+81") }));
  const launch = async () => {
    const sandbox = await launcher.start({
      limits: LIMITS,
      program: { ...program, argv: [...program.argv], binds: [] },
      egress,
    });
    await sandbox.exited;
  };
  await launch();
  faulty.plan({ record: true, only: MAKING });
  await launch();
  // A fork brings its loopback up before it has its order.
  const calls = faulty.recorded().slice(-CALLS_OF_TWO_PORTS);
  assert.ok(calls.every(({ side }) => side === "child"));
  assert.deepEqual([...new Set(calls.map(({ name }) => name))].sort(), [...MAKING].sort());
  faulty.plan();
  const zygotePid = await launcher.zygotePid();
  const before = await faulty.leftovers();
  for (const { side, name, at } of calls) {
    faulty.plan({ only: MAKING, fault: { side, at, code: "EPERM" } });
    await assert.rejects(launch(), (error: unknown) => {
      assert.ok(error instanceof EgressSocketsError);
      assert.match(error.message, new RegExp(`sockets of its egress could not be made: .*${name}.*EPERM`));
      return true;
    });
    faulty.plan();
    await eventually(async () => JSON.stringify(await faulty.leftovers()) === JSON.stringify(before));
  }
  await launch();
  assert.equal(await launcher.zygotePid(), zygotePid);
});
