/** Asking for what nobody beside the user should see. */
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { CliError } from "../failure.ts";
import type { Io } from "../io.ts";

/** A line from standard input; on a terminal the question is shown, and what is typed is not. */
export async function hiddenLine(io: Io, question: string): Promise<string> {
  if (!io.stdin.isTTY) return firstLine(await text(io.stdin));
  io.stderr.write(question);
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: io.stdin, output: nowhere, terminal: true });
  // A closed interface leaves its question open for ever.
  const closed = new Promise<never>((_, reject) => {
    lines.once("close", () => reject(new CliError("usage", "nothing was typed", { code: "USAGE" })));
  });
  try {
    return await Promise.race([lines.question("", { signal: io.interrupted }), closed]);
  } finally {
    lines.close();
    io.stderr.write("\n");
  }
}

function firstLine(given: string): string {
  return given.split(/\r?\n/, 1)[0] ?? "";
}
