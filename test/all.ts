/** `npm test`: installs what the tests need that npm does not bring, then runs every check there is. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { checkMachine } from "../infra/up/checks.ts";
import { UpError } from "../infra/up/failure.ts";
import { ensureRedisServer } from "../infra/up/redis-install.ts";
import { createSteps } from "../infra/up/steps.ts";

async function main(): Promise<number> {
  checkMachine(process.platform, process.getuid?.());
  // The tests start servers of their own, also when REDIS_URL names one.
  await ensureRedisServer(process.env, createSteps(process.stdout, !process.env.NO_COLOR));
  const child = spawn("npm", ["run", "ok"], { cwd: resolve(import.meta.dirname, ".."), stdio: "inherit" });
  const [code] = (await once(child, "exit")) as [number | null];
  return code ?? 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof UpError)) throw error;
  process.stderr.write(`error: ${error.message}\n${error.hint}\n`);
  process.exitCode = 1;
}
