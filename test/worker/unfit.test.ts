/** A worker on a machine whose control groups cannot be used ends for good, and says what to do. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { EXIT_CONFIG } from "../../infra/service.ts";
import { cgroupMounts } from "../../sandbox-core/cgroup/mounts.ts";
import { newKeyLine } from "../helpers/master-keys.ts";
import { startRedis } from "../helpers/redis.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const MAIN = fileURLToPath(import.meta.resolve("../../worker/main.ts"));

test("control groups that are mounted read-only are told in one line", async (t) => {
  const redis = await startRedis();
  t.after(() => redis.stop());
  const readOnly = cgroupMounts().map(({ directory }) => `mount -o remount,bind,ro ${directory}`);
  const script = [...readOnly, `exec ${process.execPath} ${MAIN}`].join(" && ");
  const { PATH } = process.env;
  const child = spawn("unshare", ["--mount", "sh", "-c", script], {
    stdio: ["ignore", "inherit", "pipe"],
    env: {
      PATH,
      REDIS_URL: redis.url,
      SANDPIPER_DATA_DIR: tempDir(),
      SANDPIPER_UID_BASE: "2396000",
      SANDPIPER_MASTER_KEY: newKeyLine(),
    },
  });
  const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, "exit")]);
  assert.equal(code, EXIT_CONFIG, stderr);
  const lines = stderr.trim().split("\n");
  assert.match(lines.at(-1) ?? "", /could not start.*control groups cannot be made in .*: mount it writable/);
  assert.doesNotMatch(stderr, / {4}at /);
});
