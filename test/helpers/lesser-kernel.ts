/**
 * `node lesser-kernel.ts CALL,... PROGRAM ARGUMENTS...`: starts a program on a kernel that lacks
 * these system calls, for all that the program can tell: a filter answers ENOSYS for it and
 * everything that it starts.
 */
import { constants } from "node:os";
import { currentArchitecture, type SyscallName } from "../../sandbox-core/abi/arch.ts";
import { F_SETFD, SECCOMP_RET } from "../../sandbox-core/abi/linux.ts";
import { assemble, encode } from "../../sandbox-core/seccomp/assembler.ts";
import { sys } from "../../sandbox-core/syscall/libc.ts";

const [calls = "", ...argv] = process.argv.slice(2);
const lacks = {
  calls: calls.split(",") as SyscallName[],
  reason: "this kernel has none",
  action: SECCOMP_RET.ERRNO | constants.errno.ENOSYS,
};
sys.installFilter(encode(assemble({ otherwise: SECCOMP_RET.ALLOW, rules: [lacks] }, currentArchitecture())));
// Node marks what it inherits close-on-exec.
for (const fd of [0, 1, 2]) sys.fcntl(fd, F_SETFD, 0);
sys.execve(
  argv[0] as string,
  argv,
  Object.entries(process.env).map(([name, value]) => `${name}=${value}`),
);
