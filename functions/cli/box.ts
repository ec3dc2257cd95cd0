/**
 * Becoming `sandbox-core/box/cli/main.ts`, which runs commands in sandboxes of this machine and
 * knows no gateway.
 */
import { getCompileCacheDir } from "node:module";
import { dirname } from "node:path";
import { CliError } from "./failure.ts";
import { packageModule } from "./paths.ts";

/**
 * Replaces this process by that of `box`, so that streams, terminal and signals are its own.
 * Nothing may have been read from standard input. Returns only by throwing.
 * @throws CliError when this installation has none
 */
export function becomeBox(args: readonly string[], env: NodeJS.ProcessEnv): never {
  const script = packageModule("sandbox-core/box/cli/main");
  if (script === null || process.execve === undefined) {
    throw new CliError("internal", "this installation has no boxes", {
      code: "NO_BOXES",
      hint: "run it on Linux, from an installation of Sandpiper with its worker",
    });
  }
  return process.execve(process.execPath, [process.execPath, ...compileCacheFlags(), script, ...args], env);
}

/** Has the next process find its modules compiled where this one does. */
function compileCacheFlags(): string[] {
  const directory = getCompileCacheDir();
  if (directory === undefined) return [];
  // Node names a directory of its version in the one that it was given.
  const enable = `import { enableCompileCache } from "node:module"; enableCompileCache(${JSON.stringify(dirname(directory))});`;
  return ["--import", `data:text/javascript,${encodeURIComponent(enable)}`];
}
