/** The filters, executed over every system call number and the arguments that decide. */
import assert from "node:assert/strict";
import { constants } from "node:os";
import { test } from "node:test";
import { ARCHITECTURES, type SyscallName } from "../../../sandbox-core/abi/arch.ts";
import { SECCOMP_RET } from "../../../sandbox-core/abi/linux.ts";
import { assemble } from "../../../sandbox-core/seccomp/assembler.ts";
import { EXEC_POLICY, FORK_POLICY, type Policy, ZYGOTE_POLICY } from "../../../sandbox-core/seccomp/policy.ts";
import { interpret } from "../../helpers/bpf.ts";

const POLICIES = { FORK_POLICY, EXEC_POLICY, ZYGOTE_POLICY };
const { EPERM, ENOSYS } = constants.errno;
const HIGHEST_NUMBER = 1_024;
const FOREIGN_ARCH = 0x40000003;
const HIGH_BIT = 1n << 40n;

const architectures = Object.values(ARCHITECTURES);
const NAMES = { [SECCOMP_RET.ALLOW]: "allow", [SECCOMP_RET.KILL_PROCESS]: "kill" } as Record<number, string>;

function verdictOf(policy: Policy, machine: string, call: SyscallName, args: (number | bigint)[] = []): string {
  const architecture = ARCHITECTURES[machine];
  assert.ok(architecture);
  const number = architecture.syscalls[call];
  assert.notEqual(number, undefined, call);
  const program = assemble(policy, architecture);
  const verdict = interpret(program, {
    number: number as number,
    arch: architecture.auditArch,
    args: args.map(BigInt),
  });
  return NAMES[verdict] ?? `errno ${verdict & 0xffff}`;
}

for (const [name, policy] of Object.entries(POLICIES))
  for (const architecture of architectures) {
    const program = assemble(policy, architecture);
    const named = new Set(policy.rules.flatMap(({ calls }) => calls.map((call) => architecture.syscalls[call])));

    test(`${name} on ${architecture.name} gives what it does not name its default`, () => {
      for (let number = 0; number < HIGHEST_NUMBER; number++)
        if (!named.has(number))
          assert.equal(interpret(program, { number, arch: architecture.auditArch }), policy.otherwise >>> 0);
    });

    test(`${name} on ${architecture.name} kills a call of another architecture`, () => {
      for (const number of [0, 1, 59, 425])
        assert.equal(interpret(program, { number, arch: FOREIGN_ARCH }), SECCOMP_RET.KILL_PROCESS);
    });

    test(`${name} on ${architecture.name} fits what the kernel takes`, () => assert.ok(program.length <= 4_096));
  }

test("x32 calls are killed on x86-64", () => {
  const x64 = ARCHITECTURES.x64;
  assert.ok(x64);
  for (const number of [0x40000000, 0x4000003b, -1])
    assert.equal(interpret(assemble(FORK_POLICY, x64), { number, arch: x64.auditArch }), SECCOMP_RET.KILL_PROCESS);
});

test("every rule decides something: none is shadowed by one before it", () => {
  for (const policy of Object.values(POLICIES)) {
    const unconditional = new Set<SyscallName>();
    for (const { calls, when } of policy.rules)
      for (const call of calls) {
        assert.ok(!unconditional.has(call), `${call} is decided by an earlier rule already`);
        if (!when) unconditional.add(call);
      }
  }
});

test("every call that a rule names exists on some architecture", () => {
  for (const policy of Object.values(POLICIES))
    for (const call of policy.rules.flatMap(({ calls }) => calls))
      assert.ok(
        architectures.some(({ syscalls }) => syscalls[call] !== undefined),
        call,
      );
});

const CLONE_THREAD = 0x3d0f00;
/** Policy, call, arguments, answer: on x64. */
const CASES: [Policy, SyscallName, (number | bigint)[], string][] = [
  [FORK_POLICY, "read", [], "allow"],
  [FORK_POLICY, "execve", [], `errno ${EPERM}`],
  [FORK_POLICY, "execveat", [], `errno ${EPERM}`],
  [EXEC_POLICY, "execve", [], "allow"],
  [FORK_POLICY, "memfd_create", [], `errno ${EPERM}`],
  [FORK_POLICY, "io_uring_setup", [], `errno ${EPERM}`],
  [ZYGOTE_POLICY, "io_uring_setup", [], `errno ${ENOSYS}`],
  [FORK_POLICY, "clone3", [], `errno ${ENOSYS}`],
  [FORK_POLICY, "clone", [CLONE_THREAD], "allow"],
  [FORK_POLICY, "clone", [0x11], "allow"],
  [FORK_POLICY, "clone", [0x10000011], `errno ${EPERM}`],
  [FORK_POLICY, "clone", [0x20000], `errno ${EPERM}`],
  [FORK_POLICY, "clone", [0x80], `errno ${EPERM}`],
  [FORK_POLICY, "clone", [BigInt(CLONE_THREAD) | HIGH_BIT], `errno ${EPERM}`],
  [FORK_POLICY, "socket", [1, 1], "allow"],
  [FORK_POLICY, "socket", [2, 0x80801], "allow"],
  [FORK_POLICY, "socket", [2, 1, 6], "allow"],
  [FORK_POLICY, "socket", [2, 2, 17], "allow"],
  [FORK_POLICY, "socket", [2, 1, 132], `errno ${EPERM}`],
  [FORK_POLICY, "socket", [2, 3], `errno ${EPERM}`],
  [FORK_POLICY, "socket", [16, 3], `errno ${EPERM}`],
  [FORK_POLICY, "socket", [17, 2], `errno ${EPERM}`],
  [FORK_POLICY, "socket", [40, 1], `errno ${EPERM}`],
  [FORK_POLICY, "mmap", [0, 4096, 3, 2], "allow"],
  [FORK_POLICY, "mmap", [0, 4096, 7, 0x22], "allow"],
  [FORK_POLICY, "mmap", [0, 4096, 5, 2], `errno ${EPERM}`],
  [EXEC_POLICY, "mmap", [0, 4096, 5, 2], "allow"],
  [FORK_POLICY, "prlimit64", [0, 7, 0], "allow"],
  [FORK_POLICY, "prlimit64", [0, 7, 4096], `errno ${EPERM}`],
  [FORK_POLICY, "prlimit64", [0, 7, HIGH_BIT], `errno ${EPERM}`],
  [FORK_POLICY, "prlimit64", [1, 7, 0], `errno ${EPERM}`],
  [FORK_POLICY, "prctl", [15], "allow"],
  [FORK_POLICY, "prctl", [4], `errno ${EPERM}`],
  [FORK_POLICY, "prctl", [22], `errno ${EPERM}`],
  [FORK_POLICY, "ioctl", [0, 0x5421], "allow"],
  [FORK_POLICY, "ioctl", [0, 0x5412], `errno ${EPERM}`],
  [FORK_POLICY, "ioctl", [0, 0x541c], `errno ${EPERM}`],
  [FORK_POLICY, "fcntl", [0, 1030], "allow"],
  [FORK_POLICY, "fcntl", [0, 1024], `errno ${EPERM}`],
  [FORK_POLICY, "ptrace", [], `errno ${EPERM}`],
  [FORK_POLICY, "mount", [], `errno ${EPERM}`],
  [FORK_POLICY, "unshare", [], `errno ${EPERM}`],
  [FORK_POLICY, "setns", [], `errno ${EPERM}`],
  [FORK_POLICY, "bpf", [], `errno ${EPERM}`],
  [FORK_POLICY, "keyctl", [], `errno ${EPERM}`],
  [FORK_POLICY, "personality", [0x0400000], `errno ${EPERM}`],
  [FORK_POLICY, "process_vm_readv", [], `errno ${EPERM}`],
  [FORK_POLICY, "pidfd_getfd", [], `errno ${EPERM}`],
  [FORK_POLICY, "userfaultfd", [], `errno ${EPERM}`],
  [FORK_POLICY, "shmget", [], `errno ${EPERM}`],
  [FORK_POLICY, "setrlimit", [], `errno ${EPERM}`],
];

for (const [policy, call, args, expected] of CASES)
  test(`${call}(${args.map((value) => `0x${value.toString(16)}`).join(", ")}) gives ${expected}`, () => {
    assert.equal(verdictOf(policy, "x64", call, args), expected);
  });

test("arm64 answers the same where it has the call", () => {
  for (const [policy, call, args, expected] of CASES)
    if (ARCHITECTURES.arm64?.syscalls[call] !== undefined)
      assert.equal(verdictOf(policy, "arm64", call, args), expected, call);
});
