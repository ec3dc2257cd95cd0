/**
 * `npm run test:vm [-- FILE...]`: runs the tests of sandboxes on a kernel whose control groups are
 * of version 2, in a machine that qemu emulates. Nothing of it touches this machine's kernel, and
 * no hardware virtualisation is used.
 */
import { relative } from "node:path";
import { UpError } from "../../infra/up/failure.ts";
import { createSteps } from "../../infra/up/steps.ts";
import { testInMachine } from "./run.ts";

// infra/start.mjs was killed, or a signal came: the machine is this process's, and ends with it.
process.once("disconnect", () => process.exit(1));
process.channel?.unref();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => process.exit(1));

/** The files of the command line, below test/. */
function chosen(): string[] | undefined {
  const files = process.argv.slice(2).map((path) => relative("test", path));
  return files.length === 0 ? undefined : files;
}

try {
  process.exitCode = await testInMachine(process.env, createSteps(process.stdout, !process.env.NO_COLOR), chosen());
} catch (error) {
  if (!(error instanceof UpError)) throw error;
  process.stderr.write(`error: ${error.message}\n${error.hint}\n`);
  process.exitCode = 1;
}
