/** Which tests run in the emulated machine, and the steps from nothing to their result. */
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Environment } from "../../infra/environment.ts";
import { ensureProgram, type Wanted } from "../../infra/up/apt-install.ts";
import { UpError } from "../../infra/up/failure.ts";
import type { Steps } from "../../infra/up/steps.ts";
import { isOwnerAlive, ownerName } from "../../sandbox-core/contract/owner.ts";
import { stretched } from "../helpers/slowness.ts";
import { buildImage } from "./image.ts";
import { boot } from "./machine.ts";
import { fetchParts } from "./packages.ts";

const ROOT = resolve(import.meta.dirname, "../..");
/** Outside git, beside what `npm start` keeps. */
const CACHE = join(ROOT, ".sandpiper/vm");
/**
 * Of an archive's name; what follows says whose it is, so that what a killed run left can be told.
 */
const PREFIX = "initramfs-";
/** The longest test that says nothing takes half a minute on a quiet machine. */
const SILENCE_MS = 180_000;

const QEMU: Wanted = {
  program: "qemu-system-x86_64",
  packages: ["qemu-system-x86"],
  otherwise: "install qemu's system emulation for x86 by your system's means",
};

/**
 * Where the machine differs from a real one: its control groups, and its older kernel. Each is a
 * file of test/.
 */
const TESTS = [
  "sandbox-core/cgroup/cgroup.test.ts",
  "sandbox-core/cgroup/limits.test.ts",
  "sandbox-core/cgroup/root-weight.test.ts",
  "sandbox-core/cgroup/freeze.test.ts",
  "sandbox-core/cgroup/delegated.test.ts",
  "sandbox-core/fork/posture.test.ts",
  "sandbox-core/launcher/launcher.test.ts",
  "sandbox-core/launcher/machine-watch.test.ts",
  "sandbox-core/launcher/sandbox-cgroup.test.ts",
  "escape/descriptors.test.ts",
  "escape/inside.test.ts",
  "escape/programs.test.ts",
  "escape/sockets.test.ts",
];

/**
 * Tests of these files that only compute, or start a zygote for what no version changes: emulated,
 * each takes ten seconds.
 */
const SKIPPED = ["a full JavaScript heap ends", "what a killed worker left", "the exec launcher runs"];

/**
 * Boots the machine and gives the exit code of its tests.
 * @param files of test/; all that differ there unless given
 * @throws UpError when qemu or a kernel cannot be had here, with the reason
 */
export async function testInMachine(env: Environment, steps: Steps, files = TESTS): Promise<number> {
  if (process.arch !== "x64")
    throw new UpError(`the machine is an x86-64 one, and this is ${process.arch}`, "use x86-64");
  const qemu = await ensureProgram(QEMU, env, steps);
  mkdirSync(CACHE, { recursive: true });
  for (const name of readdirSync(CACHE))
    if (name.startsWith(PREFIX) && !isOwnerAlive(name.slice(PREFIX.length))) rmSync(join(CACHE, name));
  const parts = await steps.run("Fetch a kernel and busybox", async () => fetchParts(CACHE));
  const initramfs = join(CACHE, `${PREFIX}${ownerName(process.pid)}`);
  try {
    await steps.run("Build the machine's file system", async () =>
      buildImage(initramfs, { parts, script: script(files) }),
    );
    steps.note("Run the sandbox tests in an emulated machine with control groups of version 2:");
    const show = (line: string) => process.stdout.write(`    ${line}\n`);
    return await boot({ qemu, kernel: parts.kernel, initramfs, silenceMs: stretched(SILENCE_MS), show });
  } finally {
    rmSync(initramfs, { force: true });
  }
}

/** What the machine's first process runs. */
function script(files: readonly string[]): string {
  const skip = SKIPPED.map((name) => `--test-skip-pattern='^${name}'`).join(" ");
  // The runner there says nothing of a file that is not there.
  for (const file of files)
    if (!existsSync(join(ROOT, "test", file))) throw new Error(`there is no test/${file} to run in the machine`);
  const scripts = files.map((file) => `test/${file.replace(/\.ts$/, ".js")}`).join(" ");
  return `SANDPIPER_TEST_SLOWNESS=4 NO_COLOR=1 NODE_NO_WARNINGS=1 node --test --test-concurrency=1 --test-reporter=spec ${skip} ${scripts}\n`;
}
