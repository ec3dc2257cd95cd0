/** The filters, executed over every system call number and the arguments that decide. */
import assert from "node:assert/strict";
import { constants } from "node:os";
import { test } from "node:test";
import { ARCHITECTURES, type SyscallName } from "../../../sandbox-core/abi/arch.ts";
import { SECCOMP_RET } from "../../../sandbox-core/abi/linux.ts";
import { assemble } from "../../../sandbox-core/seccomp/assembler.ts";
import { COMMAND_POLICY } from "../../../sandbox-core/seccomp/commands.ts";
import { EXEC_POLICY, FORK_POLICY, ZYGOTE_POLICY } from "../../../sandbox-core/seccomp/policy.ts";
import { INJECTOR_POLICY, RELAY_POLICY } from "../../../sandbox-core/seccomp/relay.ts";
import type { Policy } from "../../../sandbox-core/seccomp/rule.ts";
import { describeAction, disassemble, interpret, type SystemCall } from "../../helpers/bpf.ts";
import { casesOf, decide } from "../../helpers/policy.ts";

const POLICIES = { FORK_POLICY, EXEC_POLICY, COMMAND_POLICY, ZYGOTE_POLICY };
const { EPERM, EINVAL, ENOSYS } = constants.errno;
/** Above 600, which is far above what kernels have. */
const HIGHEST_NUMBER = 1_024;
const FOREIGN_ARCH = 0x40000003;
const HIGH_BIT = 1n << 40n;

const architectures = Object.values(ARCHITECTURES);
const X32 = 0x40000000;

const showCall = ({ number, args = [] }: SystemCall) =>
  `${number}(${args.map((value) => `0x${BigInt.asUintN(64, value).toString(16)}`).join(", ")})`;

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
  return describeAction(verdict);
}

/**
 * Every number that there is or will be soon, those of x32, and the ends of what a number can be.
 */
const NUMBERS = [
  ...Array.from({ length: HIGHEST_NUMBER }, (_, number) => number),
  ...Array.from({ length: HIGHEST_NUMBER }, (_, number) => X32 + number),
  ...[X32 - 1, 0x7fffffff, -1, -2, -0x80000000, -0x40000000],
];

for (const [name, policy] of Object.entries(POLICIES))
  for (const architecture of architectures) {
    const program = assemble(policy, architecture);
    const judge = (call: SystemCall, visited?: Set<number>) => {
      const verdict = interpret(program, call, visited);
      const meant = decide(policy, architecture, call);
      if (verdict !== meant) assert.equal(describeAction(verdict), describeAction(meant), showCall(call));
    };
    const calls = [...new Set(policy.rules.flatMap((rule) => rule.calls))];

    test(`${name} on ${architecture.name} says of every number what its rules say`, () => {
      for (const number of NUMBERS)
        for (const args of [[], [~0n, ~0n, ~0n, ~0n, ~0n, ~0n]]) judge({ number, arch: architecture.auditArch, args });
    });

    test(`${name} on ${architecture.name} says of all telling arguments what its rules say, and uses every instruction`, () => {
      const visited = new Set<number>();
      for (const number of NUMBERS) judge({ number, arch: architecture.auditArch }, visited);
      judge({ number: 0, arch: FOREIGN_ARCH }, visited);
      for (const call of calls) for (const one of casesOf(policy, architecture, call)) judge(one, visited);
      assert.deepEqual(
        disassemble(program).filter((_, at) => !visited.has(at)),
        [],
      );
    });

    test(`${name} on ${architecture.name} kills a call of another architecture`, () => {
      for (const number of NUMBERS)
        assert.equal(interpret(program, { number, arch: FOREIGN_ARCH }), SECCOMP_RET.KILL_PROCESS);
    });

    test(`${name} on ${architecture.name} fits what the kernel takes`, () => assert.ok(program.length <= 4_096));
  }

test("x32 calls are killed on x86-64, and high numbers refused on arm64", () => {
  for (const [machine, expected] of [
    ["x64", "kill"],
    ["arm64", `errno ${EPERM}`],
  ] as const)
    for (const policy of [FORK_POLICY, EXEC_POLICY])
      for (const number of [X32, X32 + 59, X32 + 600, -1]) {
        const architecture = ARCHITECTURES[machine];
        assert.ok(architecture);
        const verdict = interpret(assemble(policy, architecture), { number, arch: architecture.auditArch });
        assert.equal(describeAction(verdict), expected);
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
type Case = [Policy, SyscallName, (number | bigint)[], string];
const CASES: Case[] = [
  [FORK_POLICY, "read", [], "allow"],
  [FORK_POLICY, "execve", [], `errno ${EPERM}`],
  [FORK_POLICY, "execveat", [], `errno ${EPERM}`],
  [EXEC_POLICY, "execve", [], "allow"],
  [FORK_POLICY, "memfd_create", [], `errno ${EPERM}`],
  [FORK_POLICY, "io_uring_setup", [], `errno ${EPERM}`],
  [ZYGOTE_POLICY, "io_uring_setup", [], `errno ${ENOSYS}`],
  // MADV_DONTFORK is pretended; MADV_DOFORK is not.
  [ZYGOTE_POLICY, "madvise", [0, 4096, 10], "errno 0"],
  [ZYGOTE_POLICY, "madvise", [0, 4096, 11], "allow"],
  // Without waiting, from and to where the two are: no offset, and no other flag.
  [RELAY_POLICY, "splice", [5, 0, 6, 0, 131_072, 3], "allow"],
  [RELAY_POLICY, "splice", [5, 4096, 6, 0, 131_072, 3], `errno ${EPERM}`],
  [RELAY_POLICY, "splice", [5, 0, 6, 4096, 131_072, 3], `errno ${EPERM}`],
  [RELAY_POLICY, "splice", [5, 0, 6, 0, 131_072, 1], `errno ${EPERM}`],
  [RELAY_POLICY, "splice", [5, 0, 6, 0, 131_072, 11], `errno ${EPERM}`],
  ...(["tee", "vmsplice", "sendfile"] as const).map((call): Case => [RELAY_POLICY, call, [], `errno ${EPERM}`]),
  [INJECTOR_POLICY, "splice", [5, 0, 6, 0, 131_072, 3], `errno ${EPERM}`],
  [FORK_POLICY, "clone3", [], `errno ${ENOSYS}`],
  [FORK_POLICY, "clone", [CLONE_THREAD], "allow"],
  [FORK_POLICY, "clone", [0x11], "allow"],
  [FORK_POLICY, "clone", [0x1200011], "allow"],
  [FORK_POLICY, "clone", [0x4111], "allow"],
  // CLONE_PIDFD, CLONE_PTRACE, CLONE_UNTRACED, CLONE_PARENT, CLONE_IO, SIGKILL at its end.
  ...[0x1011, 0x2011, 0x800011, 0x8011, 0x80000011, 9].map(
    (flags): Case => [FORK_POLICY, "clone", [flags], `errno ${EPERM}`],
  ),
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
  [FORK_POLICY, "socket", [10, 2, 17], "allow"],
  [FORK_POLICY, "socket", [1, 5], `errno ${EPERM}`],
  // Ping, SMC, MPTCP, UDP-Lite, SCTP.
  ...[1, 256, 262, 136, 132].map((protocol): Case => [FORK_POLICY, "socket", [2, 1, protocol], `errno ${EPERM}`]),
  [FORK_POLICY, "socket", [1n | HIGH_BIT, 1], `errno ${EPERM}`],
  [FORK_POLICY, "socket", [1, 1n | HIGH_BIT], `errno ${EPERM}`],
  [FORK_POLICY, "socket", [1, 0x101], `errno ${EPERM}`],
  [FORK_POLICY, "socketpair", [1, 0x80801], "allow"],
  [FORK_POLICY, "socketpair", [30, 1], `errno ${EPERM}`],
  [FORK_POLICY, "mmap", [0, 4096, 3, 2], "allow"],
  [FORK_POLICY, "mmap", [0, 4096, 7, 0x22], "allow"],
  [FORK_POLICY, "mmap", [0, 4096, 5, 2], `errno ${EPERM}`],
  [FORK_POLICY, "mmap", [0, 4096, 5, 0x22n | HIGH_BIT], `errno ${EPERM}`],
  [EXEC_POLICY, "mmap", [0, 4096, 5, 2], "allow"],
  [FORK_POLICY, "prlimit64", [0, 7, 0], "allow"],
  [FORK_POLICY, "prlimit64", [0, 7, 4096], `errno ${EPERM}`],
  [FORK_POLICY, "prlimit64", [0, 7, HIGH_BIT], `errno ${EPERM}`],
  [FORK_POLICY, "prlimit64", [1, 7, 0], `errno ${EPERM}`],
  [FORK_POLICY, "prctl", [15], "allow"],
  [FORK_POLICY, "prctl", [15n | HIGH_BIT], `errno ${EPERM}`],
  [FORK_POLICY, "prctl", [0x53564d41, 0], "allow"],
  [FORK_POLICY, "prctl", [0x53564d41, 1], `errno ${EPERM}`],
  [FORK_POLICY, "prctl", [4], `errno ${EPERM}`],
  [FORK_POLICY, "prctl", [22], `errno ${EPERM}`],
  [FORK_POLICY, "ioctl", [0, 0x5421], "allow"],
  [FORK_POLICY, "ioctl", [0, 0x5412], `errno ${EPERM}`],
  [FORK_POLICY, "ioctl", [0, 0x541c], `errno ${EPERM}`],
  [FORK_POLICY, "fcntl", [0, 1030], "allow"],
  [FORK_POLICY, "ioctl", [0, 0x5421n | HIGH_BIT], `errno ${EPERM}`],
  [FORK_POLICY, "fcntl", [0, 1030n | HIGH_BIT], `errno ${EPERM}`],
  [FORK_POLICY, "fcntl", [0, 1024], `errno ${EPERM}`],
  [FORK_POLICY, "flock", [], "errno 0"],
  [FORK_POLICY, "fcntl", [0, 6], "errno 0"],
  [FORK_POLICY, "fcntl", [0, 5], "allow"],
  [FORK_POLICY, "fcntl", [0, 37], `errno ${EPERM}`],
  [EXEC_POLICY, "flock", [], "errno 0"],
  [EXEC_POLICY, "fcntl", [0, 7], "errno 0"],
  [EXEC_POLICY, "fcntl", [0, 37], `errno ${EPERM}`],
  [FORK_POLICY, "timerfd_create", [], `errno ${EPERM}`],
  [EXEC_POLICY, "timerfd_create", [], `errno ${EPERM}`],
  [COMMAND_POLICY, "timerfd_create", [], "allow"],
  [COMMAND_POLICY, "flock", [], "allow"],
  // Another filter: SECCOMP_SET_MODE_FILTER, alone, for all threads, and with a listener.
  ...[0, 1, 8].map((flags): Case => [COMMAND_POLICY, "seccomp", [1, flags], `errno ${EINVAL}`]),
  [COMMAND_POLICY, "fcntl", [0, 7], "allow"],
  [COMMAND_POLICY, "fcntl", [0, 37], `errno ${EINVAL}`],
  // SIGCHLD alone, with CLONE_FILES, and a thread as the C library makes it.
  [COMMAND_POLICY, "clone", [17], "allow"],
  [COMMAND_POLICY, "clone", [17 | 0x400], `errno ${EINVAL}`],
  [COMMAND_POLICY, "clone", [0x3d0f00], "allow"],
  // SO_REUSEADDR, SO_BROADCAST, SO_KEEPALIVE, SO_REUSEPORT; TCP_NODELAY and those of keepalive;
  // IP_TTL, IP_RECVERR, V6ONLY.
  ...(
    [
      ...[2, 6, 9, 15].map((name) => [1, name] as const),
      ...[1, 4, 5, 6].map((name) => [6, name] as const),
      ...[1, 2, 11, 32, 33, 34].map((name) => [0, name] as const),
      ...[16, 17, 18, 19, 25, 26, 67].map((name) => [41, name] as const),
    ] as const
  ).flatMap(([level, name]): Case[] => [
    [FORK_POLICY, "setsockopt", [0, level, name], "allow"],
    [EXEC_POLICY, "getsockopt", [0, level, name], "allow"],
    [FORK_POLICY, "setsockopt", [0, BigInt(level) | HIGH_BIT, name], `errno ${EPERM}`],
    [FORK_POLICY, "getsockopt", [0, level, BigInt(name) | HIGH_BIT], `errno ${EPERM}`],
  ]),
  // SO_TYPE, SO_ERROR, SO_SNDBUF, SO_RCVBUF, SO_ACCEPTCONN, SO_PROTOCOL, SO_DOMAIN can be read.
  ...[3, 4, 7, 8, 30, 38, 39].map((name): Case => [FORK_POLICY, "getsockopt", [0, 1, name], "allow"]),
  // What is advice is taken for done, what would have a close sleep is refused.
  ...[FORK_POLICY, EXEC_POLICY, COMMAND_POLICY].flatMap((policy): Case[] => [
    [policy, "setsockopt", [0, 1, 7], "errno 0"],
    [policy, "setsockopt", [0, 1, 8], "errno 0"],
    [policy, "setsockopt", [0, 1, 13], `errno ${EINVAL}`],
    // SO_RCVLOWAT, SO_ATTACH_FILTER, _BPF, _REUSEPORT_CBPF, _REUSEPORT_EBPF, SO_LOCK_FILTER,
    // SO_TIMESTAMP, SO_PASSRIGHTS.
    ...[18, 26, 27, 50, 51, 52, 44, 29, 83].map((name): Case => [policy, "setsockopt", [0, 1, name], `errno ${EPERM}`]),
    // SO_PEERPIDFD, SO_PEERSEC, SO_PEERGROUPS, SO_GET_FILTER, SO_COOKIE, SO_NETNS_COOKIE tell of
    // others.
    ...[77, 31, 59, 26, 57, 71].map((name): Case => [policy, "getsockopt", [0, 1, name], `errno ${EPERM}`]),
    // TCP_ULP loads modules, TCP_FASTOPEN has a queue of its own, TCP_WINDOW_CLAMP, TCP_CONGESTION,
    // TCP_REPAIR, TCP_ZEROCOPY.
    ...[31, 23, 10, 13, 19, 35].map((name): Case => [policy, "setsockopt", [0, 6, name], `errno ${EPERM}`]),
    // Memberships in groups; tables of packets' filters; options of UDP, of packet and of netlink
    // sockets.
    ...[35, 39, 42, 64].map((name): Case => [policy, "setsockopt", [0, 0, name], `errno ${EPERM}`]),
    ...[20, 42, 64].map((name): Case => [policy, "setsockopt", [0, 41, name], `errno ${EPERM}`]),
    ...[17, 255, 263, 270, 282].map((level): Case => [policy, "setsockopt", [0, level, 1], `errno ${EPERM}`]),
  ]),
  [FORK_POLICY, "getsockopt", [0, 1, 17], `errno ${EPERM}`],
  [COMMAND_POLICY, "getsockopt", [0, 1, 17], "allow"],
  [COMMAND_POLICY, "setsockopt", [0, 1, 20], "allow"],
  [COMMAND_POLICY, "setsockopt", [0, 6, 3], "allow"],
  [FORK_POLICY, "setsockopt", [0, 6, 3], `errno ${EPERM}`],
  [FORK_POLICY, "ptrace", [], `errno ${EPERM}`],
  [FORK_POLICY, "mount", [], `errno ${EPERM}`],
  [FORK_POLICY, "unshare", [], `errno ${EPERM}`],
  [FORK_POLICY, "setns", [], `errno ${EPERM}`],
  [FORK_POLICY, "bpf", [], `errno ${EPERM}`],
  [FORK_POLICY, "keyctl", [], `errno ${EPERM}`],
  // ADDR_NO_RANDOMIZE, READ_IMPLIES_EXEC, PER_LINUX32, and asking.
  ...[0x40000, 0x400000, 8, 0xffffffff, 0].flatMap((persona): Case[] => [
    [FORK_POLICY, "personality", [persona], `errno ${EPERM}`],
    [EXEC_POLICY, "personality", [persona], `errno ${EPERM}`],
  ]),
  [EXEC_POLICY, "memfd_create", [], `errno ${EPERM}`],
  [EXEC_POLICY, "execveat", [], `errno ${EPERM}`],
  [EXEC_POLICY, "io_uring_setup", [], `errno ${EPERM}`],
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
