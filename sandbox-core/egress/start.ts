/**
 * The first step of a relay or an injector: refuses io_uring to itself, and starts Node anew as the
 * process proper, whose first module is named before its options. Node opens a ring before the
 * first line of a script runs, and a ring is orders to the kernel past every filter.
 */
import { currentArchitecture } from "../abi/arch.ts";
import { F_SETFD } from "../abi/linux.ts";
import { RELAY_CONTROL_FD, RELAY_DESCRIPTORS_FD } from "../protocol/egress.ts";
import { assemble, encode } from "../seccomp/assembler.ts";
import { NO_RINGS_POLICY } from "../seccomp/relay.ts";
import { sys } from "../syscall/libc.ts";

const STDERR_FD = 2;
const [, , ...argumentsOfNode] = process.argv;

sys.installFilter(encode(assemble(NO_RINGS_POLICY, currentArchitecture())));
// Node marks what it inherits close-on-exec.
for (const fd of [STDERR_FD, RELAY_CONTROL_FD, RELAY_DESCRIPTORS_FD]) sys.fcntl(fd, F_SETFD, 0);
sys.execve(process.execPath, ["node", ...process.execArgv, ...argumentsOfNode], []);
