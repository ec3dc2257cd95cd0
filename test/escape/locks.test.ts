/**
 * Requirement 18: locks on files tell one sandbox nothing of another, and cost the kernel no memory
 * that nobody is charged for. A fork's are pretended.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import type { ZygoteLauncher } from "../../sandbox-core/launcher/launcher.ts";
import { openTestLauncher, SandboxClient } from "../helpers/sandbox-client.ts";
import { armed, plan } from "./native/inject.ts";

const PATHS = [
  ...["/", "/etc", "/etc/hosts", "/etc/passwd", "/etc/ssl/certs/ca-certificates.crt"],
  ...["/dev", "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"],
  ...["/tmp", "/proc", "/proc/self", "/proc/self/status", "/proc/self/exe"],
];
const bytes = Buffer.from(PATHS.map((path) => `${path}\0`).join(""));

let launcher: ZygoteLauncher;
before(async () => {
  launcher = await openTestLauncher();
});
after(() => launcher.close());

/**
 * What native code in a sandbox gets that opens and locks every path, and keeps what it has got.
 */
async function lockAll(client: SandboxClient): Promise<Record<string, string | undefined>> {
  client.request();
  while (!client.lastWords.endsWith("end\n")) await once(client.sandbox.stdio, "data");
  const lines = client.lastWords.split("\n");
  return Object.fromEntries(PATHS.map((path, index) => [path, lines[index]]));
}

describe("(18) locks on files", () => {
  it("that one sandbox asks for, another does not meet, and the kernel does not have", async () => {
    await using one = await armed(launcher, plan("locks", bytes.length, bytes));
    await using other = await armed(launcher, plan("locks", bytes.length, bytes));
    const first = await lockAll(one);
    // Opened; flock(2) says yes; there is no lock in the way; fcntl(2) says yes.
    for (const path of ["/", "/etc/hosts", "/dev/null", "/tmp"]) assert.equal(first[path], "0 0 2 0", path);
    assert.deepEqual(await lockAll(other), first);
    const holders = readFileSync("/proc/locks", "latin1")
      .split("\n")
      .map((line) => Number(line.split(/\s+/)[4]));
    for (const { sandbox } of [one, other]) assert.equal(holders.includes(sandbox.pid), false);
  });

  it("of SQLite's do not keep a function from its own database", async () => {
    const code = `import { DatabaseSync } from "node:sqlite";
      export default () => {
        const one = new DatabaseSync("/tmp/db"); one.exec("PRAGMA journal_mode = WAL; create table if not exists t (n)");
        const other = new DatabaseSync("/tmp/db");
        for (let n = 0; n < 100; n++) (n % 2 ? one : other).prepare("insert into t values (?)").run(n);
        const { total } = one.prepare("select sum(n) as total from t").get(); one.close(); other.close();
        return new Response(String(total));
      };`;
    await using client = await SandboxClient.with(launcher, code);
    assert.equal(await client.text(), "4950");
    assert.equal(await client.text(), "9900");
  });
});
