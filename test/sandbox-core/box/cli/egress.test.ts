/** `box run --egress`: a command reaches what its user names, and its user hears of the rest. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { boxCli, endOf } from "../../../helpers/box-cli.ts";
import { SANDPIPER } from "../../../helpers/cli.ts";
import { PRIVATE, PUBLIC, PublicNet } from "../../../helpers/public-net.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

let net: PublicNet;
let hosts: string;
before(async () => {
  net = await PublicNet.open();
  hosts = join(tempDir(), "hosts");
  writeFileSync(hosts, `127.0.0.1 localhost\n${PUBLIC} api.example.com\n${PRIVATE} db.example.com\n`);
});
after(() => net[Symbol.asyncDispose]());

/** Prints what each URL answers. */
const ASK = `const run = async () => { for (const url of process.argv.slice(1)) console.log(await fetch(url).then((r) => r.text(), (e) => e.cause.code)); }; run();`;

/** Runs `box run` as on a machine whose network is that of the test, and whose hosts(5) is. */
function run(options: readonly string[], ...command: string[]) {
  const own = [process.execPath, SANDPIPER, "box", "run", ...options, "--", ...command];
  const script = 'mount --bind "$0" /etc/hosts && exec "$@"';
  const words = [`--net=${net.namespace}`, "unshare", "-m", "sh", "-c", script, hosts, ...own];
  return endOf(spawn("nsenter", words, { env: { PATH: process.env.PATH }, stdio: "pipe" }));
}

test("a command reaches what is named, and the rest is told with what to add", async () => {
  const urls = ["http://api.example.com/", "http://Other.example.com/", `http://api.example.com:7000/`];
  const { code, stdout, stderr } = await run(
    ["--egress", "API.example.com:80", "--egress", "api.example.com"],
    "node",
    "-e",
    ASK,
    ...urls,
  );
  assert.deepEqual([code, stdout], [0, `${PUBLIC}\nENOTFOUND\nECONNREFUSED\n`]);
  assert.equal(
    stderr,
    "sandpiper box: other.example.com was not reached (undeclared_name). Add --egress other.example.com (with :PORT unless that is 443) if the box may reach it.\n",
  );
});

test("a private address takes its range", async () => {
  const ask = ["node", "-e", ASK, "http://db.example.com/"] as const;
  const [closed, open] = await Promise.all([
    run(["--egress", "db.example.com:80"], ...ask),
    run(["--egress", "db.example.com:80", "--egress-private", "10.9.0.0/16"], ...ask),
  ]);
  assert.equal(closed.stdout, "ECONNRESET\n");
  assert.match(
    closed.stderr,
    /private_address\). Its address 10\.9\.1\.1 is not public: add --egress-private 10\.9\.1\.1 if/,
  );
  assert.deepEqual([open.stdout, open.stderr], [`${PRIVATE}\n`, ""]);
});

test("what cannot be is refused with what to write instead", async () => {
  const cases: [words: string[], message: RegExp][] = [
    [["--egress", "https://api.example.com/"], /it is a URL; write its host.*\nhint: write a name/],
    [["--egress", "mail.example.com:25"], /port 25 is refused for everybody/],
    [["--egress", "10.0.0.5:5432"], /10\.0\.0\.0\/8, a private network.*\nhint: add --egress-private 10\.0\.0\.5 if/],
    [["--egress-private", "8.8.8.0/24"], /--egress-private: "8\.8\.8\.0\/24" is public/],
    [["--egress-private", "10.0.0.0/8"], /opens nothing by itself/],
    [["--egress", "api.example.com", "--net", "host"], /leave out --net host/],
    [["--egress-connections", "0", "--egress", "api.example.com"], /--egress-connections/],
  ];
  const results = await Promise.all(cases.map(([words]) => boxCli(["run", ...words, "true"])));
  for (const [index, { code, stderr }] of results.entries()) {
    assert.match(stderr, cases[index]?.[1] as RegExp);
    assert.equal(code, 125);
  }
});
