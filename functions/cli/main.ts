/**
 * The CLI as a process: gives it this process's streams, environment and signals, and turns its
 * result into an exit code.
 */
import type { Io } from "./io.ts";

const words = process.argv.slice(2);
// Before anything else is loaded, as a box is to start soon.
if (words[0] === "box") (await import("./box.ts")).becomeBox(words.slice(1), process.env);

await import("./lean-modules.ts");
const { runCli } = await import("./program.ts");
const interruption = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  // Once: a second Ctrl-C ends a command that does not listen.
  process.once(signal, () => interruption.abort());
}
// `sandpiper logs fn | head`: nobody reads any more, and that is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));

const io: Io = {
  env: process.env,
  cwd: process.cwd(),
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  interrupted: interruption.signal,
};
process.exitCode = await runCli(words, io);
// An unread standard input would keep the process alive.
process.stdin.destroy();
