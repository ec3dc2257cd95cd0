/** `npm test`: installs what the tests need that npm does not bring, then runs every check there is. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { ensureProgram, type Wanted } from "../infra/up/apt-install.ts";
import { checkMachine } from "../infra/up/checks.ts";
import { UpError } from "../infra/up/failure.ts";
import { ensureRedisServer } from "../infra/up/redis-install.ts";
import { createSteps } from "../infra/up/steps.ts";

/** Makes the hostile native program of test/escape. */
const COMPILER: Wanted = {
  program: "cc",
  packages: ["gcc", "libc6-dev"],
  otherwise: "install a C compiler by your system's means",
};

async function main(): Promise<number> {
  checkMachine(process.platform, process.getuid?.());
  // The tests start servers of their own, also when REDIS_URL names one.
  const steps = createSteps(process.stdout, !process.env.NO_COLOR);
  await ensureRedisServer(process.env, steps);
  await ensureProgram(COMPILER, process.env, steps);
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
