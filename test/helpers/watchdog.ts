/**
 * Loaded before every test file (see run.ts): ends the file's process when it hangs, so that the
 * failure of a test whose resources stay open does not stop the whole run. It keeps no process
 * alive itself. Tests have no time limits of their own beside it.
 */
import { stretched } from "./slowness.ts";

const LIMIT_MS = stretched(150_000);

setTimeout(() => {
  const open = process.getActiveResourcesInfo().join(", ");
  process.stderr.write(`this test file still runs after ${LIMIT_MS / 1000} s and is ended; open: ${open}\n`);
  process.exit(1);
}, LIMIT_MS).unref();
