/** The runtime in a zygote: warmed before the first fork, and started in each. */
import { randomFillSync } from "node:crypto";
import { setServers } from "node:dns";
import { prepareRuntime } from "../runtime/main.ts";
import { ENTROPY_BYTES, renewRandomness } from "../runtime/random.ts";
import { warm } from "../runtime/warm.ts";
import { SocketWire } from "../runtime/wire.ts";
import { exitNow, sys } from "../syscall/libc.ts";
import { readEntropy } from "./entropy.ts";
import { mayGrow } from "./heap.ts";
import { OPENSSL_SEED_BYTES, renewProcess } from "./renew.ts";
import { serveAsTemplate } from "./template.ts";

let begin: ((wireFd: number) => void) | undefined;

/** Runs what forks will run, so that they find it loaded and compiled. */
export async function warmUp(): Promise<void> {
  await warm();
  await warmWire();
  // Drawn for the same reason, and used for nothing.
  randomFillSync(readEntropy(OPENSSL_SEED_BYTES));
  renewRandomness(readEntropy(ENTROPY_BYTES));
}

/** Does ahead the work that is the same in all forks. The console is the tenant's from then on. */
export function prepare(): void {
  // The end of process.exit is _exit, as the parent's exit handlers wait for threads that a fork
  // does not have.
  Object.assign(process, { reallyExit: exitNow });
  // The zygote has read the host's resolv.conf; a sandbox's own names this one, and a relay of
  // egress answers there, or nobody does.
  setServers(["127.0.0.1"]);
  begin = prepareRuntime({ serve: serveAsTemplate });
}

/** Opens and closes a wire, so that forks find that part of Node compiled. */
async function warmWire(): Promise<void> {
  const [here, there] = sys.socketpair();
  const wire = new SocketWire();
  await new Promise<unknown>((closed) => {
    wire.start(here, () => {}, closed);
    sys.close(there);
  });
}

/** Goes on as the tenant's runtime, in a fork that is locked in. */
export function startRuntime(): void {
  mayGrow(true);
  renewProcess();
  begin?.(3);
}
