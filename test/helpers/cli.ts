/** Runs the real `sandpiper` command as a process. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { text } from "node:stream/consumers";

export const SANDPIPER = resolve(import.meta.dirname, "../../functions/cli/sandpiper.mjs");

/**
 * A directory of configuration without anything in it: the user's own logins are no tests'
 * business.
 */
export const NO_PROFILES = "/nonexistent";

export interface CliOptions {
  cwd: string;
  /** Added to an environment with nothing of Sandpiper in it. */
  env?: Record<string, string | undefined>;
  /** Standard input; without it there is none. */
  input?: string | Uint8Array;
  /** Arguments for node, before the script. */
  nodeArguments?: string[];
}

export interface CliResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Starts the command; the caller waits for its end. */
export function startCli(args: string[], { cwd, env = {}, input, nodeArguments = [] }: CliOptions): ChildProcess {
  const { PATH, HOME, TMPDIR } = process.env;
  const child = spawn(process.execPath, [...nodeArguments, SANDPIPER, ...args], {
    cwd,
    env: { PATH, HOME, ...(TMPDIR !== undefined && { TMPDIR }), LANG: "C.UTF-8", XDG_CONFIG_HOME: NO_PROFILES, ...env },
    stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
  });
  child.stdin?.end(input);
  return child;
}

/** Runs the command to its end. */
export async function cli(args: string[], options: CliOptions): Promise<CliResult> {
  const child = startCli(args, options);
  if (!child.stdout || !child.stderr) throw new Error("the child has no output");
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
  return { code, stdout, stderr };
}
