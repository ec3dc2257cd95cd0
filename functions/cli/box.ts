/** Becoming `sandbox-core/box/main.ts`, which runs commands in sandboxes of this machine and knows no gateway. */
import { CliError } from "./failure.ts";
import { packageModule } from "./paths.ts";

/**
 * Replaces this process by that of `box`, so that streams, terminal and signals are its own. Nothing may have been read
 * from standard input. Returns only by throwing.
 * @throws CliError when this installation has none
 */
export function becomeBox(args: readonly string[], env: NodeJS.ProcessEnv): never {
  const script = packageModule("sandbox-core/box/main");
  if (script === null || process.execve === undefined) {
    throw new CliError("internal", "this installation has no boxes", {
      code: "NO_BOXES",
      hint: "run it on Linux, from an installation of Sandpiper with its worker",
    });
  }
  return process.execve(process.execPath, [process.execPath, script, ...args], env);
}
