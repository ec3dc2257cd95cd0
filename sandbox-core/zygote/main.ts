/**
 * The zygote: the warmed process that sandboxes are forked from. Theory of operation.
 *
 *     worker ──spawns──> zygote ──forks──> sandbox, sandbox, ...
 *       │ ▲   control      │ (root, empty      │ (nobody, locked in by enter.ts)
 *       │ └──── socket ────┘  environment)     │
 *       └───────────── wire: one socket a sandbox, connected before it is locked in
 *
 * The zygote loads and warms the runtime, builds the root that its forks share, and then serves the control socket in
 * plain blocking calls: it has no timer, no handle and no promise of its own, so a fork inherits none. The loop returns
 * only in a child, which is locked in by then and goes on as the runtime, or as a program.
 *
 * It dies with its worker (the control socket ends), and every sandbox dies with it (PR_SET_PDEATHSIG).
 */
import { randomFillSync } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { SIG_IGN, SIGCHLD } from "../abi/linux.ts";
import { probe } from "../attest/probe.ts";
import { startRuntime } from "../runtime/main.ts";
import { ENTROPY_BYTES, renewRandomness } from "../runtime/random.ts";
import { warm } from "../runtime/warm.ts";
import { SocketWire } from "../runtime/wire.ts";
import { exitNow, sys } from "../syscall/libc.ts";
import { renewEventLoop, seedOpenssl } from "../syscall/node.ts";
import type { Program, ZygoteOptions } from "./control.ts";
import { readEntropy } from "./entropy.ts";
import { prepareHouse } from "./house.ts";
import { collectGarbage } from "./selftest.ts";
import { type Born, serve } from "./serve.ts";

/** Exit code of a fork that was locked in and could not begin. */
const FAILED_START = 70;

const options = JSON.parse(process.argv[2] ?? "") as ZygoteOptions;
process.argv.length = 1;

await warm();
await warmWire();
// Drawn for the same reason, and used for nothing.
randomFillSync(readEntropy());
const house = await prepareHouse(options);
collectGarbage();
setFlagsFromString("--lazy");
goOn(serve(house));

/** Opens and closes a wire, so that forks find that part of Node compiled. */
async function warmWire(): Promise<void> {
  const [here, there] = sys.socketpair();
  const wire = new SocketWire(here);
  await new Promise<unknown>((closed) => {
    wire.start(() => {}, closed);
    sys.close(there);
  });
}

/** What a fork does once it is locked in. Nothing may throw out of here: it would unwind into the parent's code. */
function goOn(born: Born): void {
  try {
    if (born.is === "program") start(born.program);
    else if (born.is === "probe") look(born.zygotesSocket);
    else live();
  } catch (error) {
    if (born.is === "program") born.fail(error as Error);
    console.error(error);
    exitNow(FAILED_START);
  }
}

/** Goes on as the tenant's runtime. */
function live(): void {
  // It is the first process of its namespace, to which orphans fall: the kernel is to collect them by itself (wait(2)).
  sys.signal(SIGCHLD, SIG_IGN);
  renewEventLoop();
  seedOpenssl(readEntropy());
  renewRandomness(randomFillSync(Buffer.alloc(ENTROPY_BYTES)));
  // What process.exit ends in: _exit, as the parent's exit handlers wait for threads that a fork does not have.
  Object.assign(process, { reallyExit: exitNow });
  startRuntime(3);
}

/** As a runtime would be, up to its first tenant's byte. */
function look(zygotesSocket: string): never {
  renewEventLoop();
  return probe(zygotesSocket);
}

function start({ argv, env, workingDirectory }: Program): never {
  sys.chdir(workingDirectory);
  return sys.execve(
    argv[0] as string,
    argv,
    Object.entries(env).map(([name, value]) => `${name}=${value}`),
  );
}
