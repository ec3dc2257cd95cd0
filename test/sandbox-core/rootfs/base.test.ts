/** The files that all sandboxes of a zygote begin with: each has them to itself. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { ZygoteLauncher } from "../../../sandbox-core/launcher/launcher.ts";
import { LIMITS, openTestLauncher, SandboxClient } from "../../helpers/sandbox-client.ts";

for (const kind of ["fork", "exec"] as const) {
  let launcher: ZygoteLauncher;
  let one: SandboxClient;
  let other: SandboxClient;
  const rootOf = ({ sandbox }: SandboxClient) => join("/proc", String(sandbox.pid), "root");

  before(async () => {
    launcher = await openTestLauncher({ kind });
    const limits = { ...LIMITS, memoryBytes: 256 << 20 };
    one = await SandboxClient.blank(launcher, limits);
    other = await SandboxClient.blank(launcher, limits);
  });
  after(() => launcher.close());

  /**
   * Whether nobody holds a lock on the file that would be in the way of an exclusive one
   * (flock(1)).
   */
  const isFree = (path: string) => {
    try {
      execFileSync("flock", ["--nonblock", path, "true"]);
      return true;
    } catch {
      return false;
    }
  };

  test(`${kind}: a lock on a file of one sandbox's root is not seen in another's`, async () => {
    for (const path of ["etc", "etc/hosts", "etc/ssl/certs/ca-certificates.crt", "dev", "dev/null"]) {
      const [mine = "", its = ""] = [one, other].map((client) => join(rootOf(client), path));
      if (!existsSync(mine)) continue;
      const holder = spawn("flock", [mine, "sh", "-c", "echo held; exec cat"], { stdio: ["pipe", "pipe", "inherit"] });
      await once(holder.stdout, "data");
      assert.deepEqual([isFree(mine), isFree(its)], [false, true], path);
      holder.stdin.end();
      await once(holder, "exit");
    }
  });

  test(`${kind}: no file in /etc and /dev is the same file in both, or on the host`, () => {
    const identities = (root: string) =>
      ["etc", "dev"].flatMap((top) =>
        [".", ...readdirSync(join(root, top))].map((name) => {
          const { dev, ino } = lstatSync(join(root, top, name));
          return `${dev}:${ino}`;
        }),
      );
    const [first, second, host] = [rootOf(one), rootOf(other), "/"].map((root) => new Set(identities(root)));
    assert.ok(first && second && host && first.size > 10);
    for (const identity of first) assert.ok(!second.has(identity) && !host.has(identity), identity);
  });
}
