/** Counts system calls with strace(1). */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ensureProgram } from "../../../infra/up/apt-install.ts";
import { createSteps } from "../../../infra/up/steps.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const STRACE = { program: "strace", packages: ["strace"], otherwise: "install strace" };
/** A line of strace's that is no call: of a signal, or of an end. */
const NO_CALL = /^(---|\+\+\+)/;

export interface Traced<Result> {
  result: Result;
  /** How many each process made, by its pid: the one that is traced, and those that it forked. */
  calls: ReadonlyMap<number, number>;
}

/**
 * Counts what a process and its forks ask of the kernel during some work.
 * @throws Error when there is no strace and none can be installed, or it may not trace the process
 */
export async function traceSystemCalls<Result>(pid: number, work: () => Promise<Result>): Promise<Traced<Result>> {
  const strace = await ensureProgram(STRACE, process.env, createSteps(process.stderr, false));
  const directory = tempDir();
  const args = ["-ff", "-o", join(directory, "calls"), "-p", String(pid)];
  const child = spawn(strace, args, { env: {}, stdio: ["ignore", "ignore", "pipe"] });
  const ended = once(child, "close");
  try {
    await untilAttached(child.stderr.setEncoding("utf8"));
    const result = await work();
    return { result, calls: await stopped(child, ended, directory) };
  } finally {
    child.kill("SIGTERM");
    await ended;
  }
}

async function stopped(child: ReturnType<typeof spawn>, ended: Promise<unknown>, directory: string) {
  child.kill("SIGTERM");
  await ended;
  return new Map(
    readdirSync(directory).map((file) => {
      const lines = readFileSync(join(directory, file), "utf8").trim().split("\n");
      return [Number(file.split(".").at(-1)), lines.filter((line) => line !== "" && !NO_CALL.test(line)).length];
    }),
  );
}

/** strace says so on its standard error, which is read to the end. */
async function untilAttached(stderr: NodeJS.ReadableStream): Promise<void> {
  const attached = Promise.withResolvers<void>();
  let said = "";
  stderr.on("data", (text: string) => {
    said += text;
    if (said.includes(" attached")) attached.resolve();
  });
  stderr.on("end", () => attached.reject(new Error(`strace cannot trace: ${said.trim()}`)));
  await attached.promise;
}
