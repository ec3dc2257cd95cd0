/**
 * `npm test`: installs what the tests need that npm does not bring, then runs every check there is.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { ensureProgram, type Wanted } from "../infra/up/apt-install.ts";
import { checkMachine } from "../infra/up/checks.ts";
import { UpError } from "../infra/up/failure.ts";
import { ensureRedisServer } from "../infra/up/redis-install.ts";
import { createSteps, type Steps } from "../infra/up/steps.ts";
import { testInMachine } from "./vm/run.ts";

/** Makes the hostile native program of test/escape. */
const COMPILER: Wanted = {
  program: "cc",
  packages: ["gcc", "libc6-dev"],
  otherwise: "install a C compiler by your system's means",
};

/** Has real system calls of a zygote fail. */
const STRACE: Wanted = {
  program: "strace",
  packages: ["strace"],
  otherwise: "install strace by your system's means",
};

async function main(): Promise<number> {
  checkMachine(process.platform, process.getuid?.());
  // The tests start servers of their own, also when REDIS_URL names one.
  const steps = createSteps(process.stdout, !process.env.NO_COLOR);
  await ensureRedisServer(process.env, steps);
  for (const wanted of [COMPILER, STRACE]) await ensureProgram(wanted, process.env, steps);
  const child = spawn("npm", ["run", "ok"], { cwd: resolve(import.meta.dirname, ".."), stdio: "inherit" });
  const [code] = (await once(child, "exit")) as [number | null];
  return code === 0 ? testOnVersion2(steps) : (code ?? 1);
}

/**
 * The sandbox tests once more, on the other version of control groups; says so where that cannot
 * be.
 */
async function testOnVersion2(steps: Steps): Promise<number> {
  try {
    return await testInMachine(process.env, steps);
  } catch (error) {
    if (!(error instanceof UpError)) throw error;
    process.stdout.write(`SKIPPED: the sandbox tests in an emulated machine (npm run test:vm): ${error.message}\n`);
    return 0;
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof UpError)) throw error;
  process.stderr.write(`error: ${error.message}\n${error.hint}\n`);
  process.exitCode = 1;
}
