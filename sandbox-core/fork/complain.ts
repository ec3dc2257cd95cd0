/** The last words of a zygote or a fork: its console is the tenant's already. */
import { sys } from "../syscall/libc.ts";

const STDERR = 2;

/** Writes a thrown value to descriptor 2, as far as the descriptor takes it. Never throws. */
export function complain(error: unknown): void {
  const text = Buffer.from(`${error instanceof Error ? error.stack : error}\n`);
  try {
    sys.write(STDERR, text, text.length);
  } catch {
    // There is nobody left to tell.
  }
}
