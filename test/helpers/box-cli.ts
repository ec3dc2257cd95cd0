/** `sandpiper box` as its users start it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { SANDPIPER } from "./cli.ts";

export interface BoxCliResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** A test that fails leaves nothing running. */
const started = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of started) child.kill("SIGKILL");
});

/** Starts it; standard input is a pipe. */
export function startBoxCli(args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  const child = spawn(process.execPath, [SANDPIPER, "box", ...args], {
    env: { PATH: process.env.PATH, ...env },
    stdio: "pipe",
  });
  started.add(child);
  return child;
}

/** Runs it to its end. */
export async function boxCli(
  args: readonly string[],
  { input = "", env = {} }: { input?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<BoxCliResult> {
  return endOf(startBoxCli(args, env), input);
}

export async function endOf(child: ChildProcess, input = ""): Promise<BoxCliResult> {
  if (!child.stdin || !child.stdout || !child.stderr) throw new Error("the child has no pipes");
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
  return { code, stdout, stderr };
}
