/**
 * The first step of a zygote: refuses io_uring to itself, and starts Node anew as the zygote
 * proper.
 *
 * Node opens rings before the first line of a script runs, whatever its environment says. A ring is
 * memory that the kernel takes orders from, with the rights of the process that made it, and a fork
 * would share it. So the filter has to be there before Node is. The same filter has V8 keep no
 * memory from forks (ZYGOTE_POLICY, seccomp/policy.ts).
 */
import { fileURLToPath } from "node:url";
import { currentArchitecture } from "../abi/arch.ts";
import { F_SETFD, PR, SIGCONT } from "../abi/linux.ts";
import { CONTROL_FD } from "../protocol/control.ts";
import { assemble, encode } from "../seccomp/assembler.ts";
import { ZYGOTE_POLICY } from "../seccomp/policy.ts";
import { sys } from "../syscall/libc.ts";

const STDERR_FD = 2;

const [, , ...argumentsOfNode] = process.argv;
const main = fileURLToPath(import.meta.resolve("./main.ts"));
const options = argumentsOfNode.pop() as string;

// The zygote leaves when the control socket ends with its worker. A stopped one has to be woken for
// that.
sys.prctl(PR.SET_PDEATHSIG, SIGCONT, 0, 0, 0);
sys.installFilter(encode(assemble(ZYGOTE_POLICY, currentArchitecture())));
// Node marks what it inherits close-on-exec; what the zygote says before it dies is worth keeping.
for (const fd of [STDERR_FD, CONTROL_FD]) sys.fcntl(fd, F_SETFD, 0);
const flags = [...process.execArgv, ...nameFlags(), ...argumentsOfNode];
sys.execve(process.execPath, ["node", ...flags, main, options], []);

/**
 * Flags for a Node whose own modules have names that tell nothing of the host. A thread with the
 * same flags would find no file.
 */
function nameFlags(): string[] {
  const names = JSON.stringify(import.meta.resolve("../runtime/own-names.ts"));
  const code = `import { isMainThread } from "node:worker_threads"; if (isMainThread) await import(${names});`;
  return ["--import", `data:text/javascript,${encodeURIComponent(code)}`];
}
