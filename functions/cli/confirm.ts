/** Asks before something is destroyed. */
import { createInterface } from "node:readline/promises";
import { CliError } from "./failure.ts";
import type { Io } from "./io.ts";

/**
 * Whether the user says yes, on a terminal.
 * @param what what is done, such as "deleting hello"
 * @throws CliError NEEDS_YES when there is no terminal
 */
export async function confirmed(io: Io, what: string, question: string): Promise<boolean> {
  if (!io.stdin.isTTY) {
    throw new CliError("usage", `${what} needs --yes, as there is no terminal to ask on`, { code: "NEEDS_YES" });
  }
  const lines = createInterface({ input: io.stdin, output: io.stderr });
  try {
    const answer = await lines.question(`${question} [y/N] `, { signal: io.interrupted });
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    lines.close();
  }
}
