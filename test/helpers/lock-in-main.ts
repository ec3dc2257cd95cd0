/**
 * Locks itself in as an injector does, tries each of the calls that it is given, and says as JSON
 * on its standard error, which start.ts leaves open, how each ended: the error's name, or "done".
 */
import { writeSync } from "node:fs";
import { currentArchitecture, type SyscallName } from "../../sandbox-core/abi/arch.ts";
import { lockIn } from "../../sandbox-core/egress/lock-in.ts";
import { INJECTOR_POLICY } from "../../sandbox-core/seccomp/relay.ts";
import { SyscallError } from "../../sandbox-core/syscall/error.ts";
import { exitNow, sys } from "../../sandbox-core/syscall/libc.ts";

const [, , uid, ...calls] = process.argv;
const STDERR_FD = 2;

function attempt(call: string): string {
  const number = currentArchitecture().syscalls[call as SyscallName];
  if (number === undefined) return "EPERM";
  try {
    sys.syscall(call, number);
    return "done";
  } catch (error) {
    if (error instanceof SyscallError) return error.code;
    throw error;
  }
}

lockIn({ uid: Number(uid) }, INJECTOR_POLICY);
writeSync(STDERR_FD, JSON.stringify(Object.fromEntries(calls.map((call) => [call, attempt(call)]))));
exitNow(0);
