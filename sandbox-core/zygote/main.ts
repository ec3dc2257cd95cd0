/**
 * This folder runs in the zygote: the warmed process that sandboxes are forked from. The zygote is
 * root, starts with an empty environment, and holds nothing secret: one control socket, no Redis,
 * no bundle, and of a program no more than protocol/control.ts tells it.
 *
 *     worker ──spawns──> zygote ──forks──> sandbox, sandbox, ...
 *       │ ▲   control      │ (root, empty      │ (nobody, locked in by fork/enter.ts)
 *       │ └──── socket ────┘  environment)     │
 *       └───────────── wire: one socket a sandbox, connected before it is locked in
 *
 * The zygote loads and warms the runtime, builds the root that its forks share, moves its memory
 * together (memory.ts), and then serves the control socket in blocking calls (serve.ts). serve()
 * returns in a fork alone, which is locked in by then and takes its role. A zygote for programs
 * alone loads no runtime and is ready sooner: `sandpiper box`, the library and the `exec` launcher
 * use one.
 *
 * Node does not support a fork of itself. Each thing that makes one live has a file: no rings
 * (start.ts), no threads of V8's (host/open.ts), a heap that forks keep (seccomp/policy.ts), no
 * event loop (serve.ts), libuv's pipe (fork/signal-pipe.ts), randomness (fork/entropy.ts), and a
 * test at each zygote's start that all of this holds (selftest.ts).
 *
 * A zygote dies with its worker (the control socket ends), and every sandbox with its zygote
 * (PR_SET_PDEATHSIG).
 */
import { flushCompileCache } from "node:module";
import { setFlagsFromString } from "node:v8";
import { complain } from "../fork/complain.ts";
import { runAsInit } from "../fork/init.ts";
import type { Role } from "../fork/launch.ts";
import { probe } from "../fork/probe.ts";
import type { ZygoteOptions } from "../protocol/control.ts";
import { exitNow } from "../syscall/libc.ts";
import { renewEventLoop } from "../syscall/node.ts";
import { compactMemory } from "./memory.ts";
import { serve } from "./serve.ts";
import { prepareZygote } from "./state.ts";

/** Exit code of a fork that was locked in and could not begin. */
const FAILED_START = 70;

const options = JSON.parse(process.argv[2] ?? "") as ZygoteOptions;
process.argv.length = 1;

// One that starts programs alone needs no runtime, and is ready sooner.
const runtime = options.runtime ? await import("../fork/runtime.ts") : undefined;
await runtime?.warmUp();
const state = await prepareZygote(options);
runtime?.prepare();
// For the next zygote.
flushCompileCache();
compactMemory();
setFlagsFromString("--lazy");
takeRole(serve(state));

/**
 * Runs a fork's role once the fork is locked in. Nothing may throw out of here: it would unwind
 * into the parent's code.
 */
function takeRole(role: Role): void {
  try {
    if (role.is === "program") runAsInit(role.program, role.statusPipe, role.report);
    else if (role.is === "probe") look(role.zygotesSocket);
    else runtime?.startRuntime();
  } catch (error) {
    if (role.is === "program") role.fail(error as Error);
    complain(error);
    exitNow(FAILED_START);
  }
}

/** As a runtime would be, up to its first tenant's byte. */
function look(zygotesSocket: string): never {
  renewEventLoop();
  return probe(zygotesSocket);
}
