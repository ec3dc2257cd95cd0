/** The parts of their own process that the commands of `box` may touch. */
import { SandboxError } from "../../contract/error.ts";
import { UsageError } from "./usage.ts";

export interface Surroundings {
  env: NodeJS.ProcessEnv;
  stdin: NodeJS.ReadStream;
  stdout: NodeJS.WriteStream;
  stderr: NodeJS.WriteStream;
  /** Explains a command, or all of them, on stdout; gives the exit code. */
  showHelp(command?: string): number;
  /** Tells of a failure on stderr, as JSON for programs, and gives the code back. */
  fail(error: Error, exitCode: number, json?: boolean): number;
  /** A line for a person on stderr. */
  say(text: string): void;
}

/** The surroundings of this very process. */
export function surroundings(env: NodeJS.ProcessEnv, helpOf: (command?: string) => string): Surroundings {
  const { stdin, stdout, stderr } = process;
  return {
    env,
    stdin,
    stdout,
    stderr,
    showHelp(command) {
      stdout.write(helpOf(command));
      return 0;
    },
    fail(error, exitCode, json = false) {
      const hint = hintOf(error);
      const code = error instanceof UsageError ? "USAGE" : "BOX_FAILED";
      if (json) stderr.write(`${JSON.stringify({ error: { code, message: error.message, hint, exitCode } })}\n`);
      else stderr.write(`error: ${error.message}\n${hint === undefined ? "" : `hint: ${hint}\n`}`);
      return exitCode;
    },
    say: (text) => void stderr.write(`sandpiper box: ${text}\n`),
  };
}

function hintOf(error: Error): string | undefined {
  if (error instanceof UsageError) return error.hint;
  const { code } = error as { code?: string };
  if (code === "ENOENT") return "there is no such program in the box: its root is the host's /usr, or --rootfs";
  if (code === "EACCES") return "it is no program, or may not be executed by the box's user; nothing in /tmp may";
  if (code === "ENOEXEC") return "it is neither a program of this machine nor a script with #! and an interpreter";
  return error instanceof SandboxError ? undefined : "this is a bug";
}
