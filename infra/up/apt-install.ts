/** Installs programs of Debian's packages when they are not there. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Environment } from "../environment.ts";
import { UpError } from "./failure.ts";
import { findOnPath } from "./path-search.ts";
import type { Steps } from "./steps.ts";

/** A program, the packages that bring it, and what to do where there is no apt. */
export interface Wanted {
  program: string;
  packages: readonly string[];
  otherwise: string;
}

/** Directories that dpkg needs on its PATH; apt's own default for DPkg::Path. */
const SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin";
/** The programs by which Debian's packages start their services. */
const SERVICE_STARTERS = ["invoke-rc.d", "deb-systemd-invoke"];

/**
 * Path of a program, installed through apt if there is none on PATH. A service that its package has
 * is not started.
 * @throws UpError naming the command to type.
 */
export async function ensureProgram(wanted: Wanted, env: Environment, steps: Steps): Promise<string> {
  const { program, otherwise } = wanted;
  const present = findOnPath(program, env.PATH);
  if (present !== null) return present;
  const apt = findOnPath("apt-get", env.PATH);
  if (apt === null) {
    throw new UpError(`there is no ${program} on PATH, and no apt-get to install it with`, otherwise);
  }
  if (process.getuid?.() !== 0) {
    throw new UpError(`there is no ${program} on PATH, and only root may install it`, `type: sudo ${byHand(wanted)}`);
  }
  await steps.run(`Install ${program} with apt`, () => install(apt, wanted, env));
  const installed = findOnPath(program, `${env.PATH}:${SYSTEM_PATH}`);
  if (installed !== null) return installed;
  throw new UpError(`apt installed ${program}, but there is none on PATH`, `type: ${byHand(wanted)}`);
}

/** The command that a user types when we cannot. */
function byHand({ packages }: Wanted): string {
  return `apt-get update && apt-get install ${packages.join(" ")}`;
}

async function install(apt: string, wanted: Wanted, env: Environment): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "sandpiper-apt-"));
  try {
    makeInertStarters(directory);
    const options = [
      "-y",
      "--no-install-recommends",
      "-o",
      `DPkg::Path=${directory}:${SYSTEM_PATH}`,
      "-o",
      "DPkg::Lock::Timeout=120",
    ];
    const first = await run(apt, ["install", ...options, ...wanted.packages], env);
    if (first.code === 0) return;
    // Without package lists apt knows no such package; with old ones it asks for versions that are
    // gone.
    const update = await run(apt, ["update"], env);
    const second = await run(apt, ["install", ...options, ...wanted.packages], env);
    if (second.code !== 0) throw aptFailed(wanted, [...(update.code === 0 ? [] : [update.output]), second.output]);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/**
 * Debian's redis-server starts a server on port 6379 as it is installed. We run one of our own, so
 * dpkg finds programs first that start nothing.
 */
function makeInertStarters(directory: string): void {
  chmodSync(directory, 0o755);
  for (const name of SERVICE_STARTERS) writeFileSync(join(directory, name), "#!/bin/sh\nexit 0\n", { mode: 0o755 });
}

function aptFailed(wanted: Wanted, outputs: readonly string[]): UpError {
  const lines = outputs.flatMap((output) => output.trim().split("\n").slice(-6)).join("\n  ");
  return new UpError(
    `apt could not install ${wanted.program}. Its last words:\n  ${lines}`,
    `type: ${byHand(wanted)}\nor ${wanted.otherwise}`,
  );
}

async function run(apt: string, args: string[], env: Environment): Promise<{ code: number | null; output: string }> {
  const child = spawn(apt, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C.UTF-8" },
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output = (output + chunk).slice(-20_000);
    });
  }
  const [code] = (await once(child, "close")) as [number | null];
  return { code, output };
}
