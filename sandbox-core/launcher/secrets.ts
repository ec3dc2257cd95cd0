/** Hides what a program is started with from the zygote: the launcher's end of fork/take.ts. */

import { closeSync, writeSync } from "node:fs";
import { MFD_CLOEXEC } from "../abi/linux.ts";
import type { Program } from "../contract/program.ts";
import type { ProgramOutline } from "../protocol/control.ts";
import { sys } from "../syscall/libc.ts";

/**
 * Writes a program's secrets to a descriptor, which the caller closes, and gives the rest, which
 * the zygote has to know.
 * @throws SyscallError
 */
export function hideSecrets(program: Program): { outline: ProgramOutline; secrets: number } {
  const { argv, env, binds, workingDirectory, ...outline } = program;
  const text = Buffer.from(JSON.stringify({ argv, env, binds, workingDirectory }));
  const secrets = sys.memfdCreate("program", MFD_CLOEXEC);
  try {
    // At a position of its own: the fork shares that of the descriptor, and reads from the
    // beginning.
    for (let sent = 0; sent < text.length; ) sent += writeSync(secrets, text, sent, text.length - sent, sent);
    return { outline, secrets };
  } catch (error) {
    closeSync(secrets);
    throw error;
  }
}
