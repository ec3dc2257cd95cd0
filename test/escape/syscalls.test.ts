/**
 * Requirement 17: forbidden system calls, tried by native code in a forked sandbox, behind the
 * filter that tenants have. What is expected comes from two sides: from hand-written tables, and
 * from the policy, executed by an interpreter.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { currentArchitecture, type SyscallName } from "../../sandbox-core/abi/arch.ts";
import { SECCOMP_RET } from "../../sandbox-core/abi/linux.ts";
import type { ZygoteLauncher } from "../../sandbox-core/launcher/launcher.ts";
import { assemble } from "../../sandbox-core/seccomp/assembler.ts";
import { FORK_POLICY } from "../../sandbox-core/seccomp/policy.ts";
import { interpret } from "../helpers/bpf.ts";
import { openTestLauncher } from "../helpers/sandbox-client.ts";
import { FORBIDDEN, HARMLESS, WITH_ARGUMENTS } from "./native/attacks.ts";
import { type Attempt, attemptAll, errorName, numberOf } from "./native/calls.ts";

const HIGHEST_NUMBER = 1_024;
const HIGHEST_FOREIGN_NUMBER = 470;
const architecture = currentArchitecture();
const program = assemble(FORK_POLICY, architecture);

let launcher: ZygoteLauncher;
before(async () => {
  launcher = await openTestLauncher();
});
after(() => launcher.close());

/**
 * uretprobe and uprobe, which the kernel of x86-64 lets past every filter
 * (seccomp_uprobe_exception, kernel/seccomp.c): whoever calls them without having been sent there
 * by a probe gets this.
 */
const PAST_FILTERS: Record<number, string> = architecture.name === "x86_64" ? { 335: "SIGILL", 336: "ENXIO" } : {};

/** What the filter says of a call, as a fate; null when it lets it pass. */
function verdict(attempt: Attempt): string | null {
  const { args = [] } = attempt;
  const action = interpret(program, {
    number: seenNumber(attempt),
    arch: architecture.auditArch,
    args: args.map(BigInt),
  });
  if (action === SECCOMP_RET.ALLOW) return null;
  if (action === SECCOMP_RET.KILL_PROCESS) return "SIGSYS";
  const number = action & 0xffff;
  return number === 0 ? "ok" : errorName(number);
}

/** The kernel takes the lower half of the register. */
function seenNumber({ number }: Attempt): number {
  return Number(BigInt.asIntN(32, BigInt(number)));
}

/** Tries all that the filter refuses, and compares; says how many that were. */
async function refusedAsTheFilterSays(attempts: readonly Attempt[]): Promise<number> {
  const refused = attempts.filter((attempt) => verdict(attempt) !== null);
  const fates = await attemptAll(launcher, refused);
  const wrong = refused.flatMap((attempt, index) =>
    [verdict(attempt), PAST_FILTERS[seenNumber(attempt)]].includes(fates[index])
      ? []
      : [`${show(attempt)}: ${fates[index]}, not ${verdict(attempt)}`],
  );
  assert.deepEqual(wrong, []);
  return refused.length;
}

function show({ number, args = [] }: Attempt): string {
  return `${number}(${args.map((value) => `0x${value.toString(16)}`).join(", ")})`;
}

const everyNumber = Array.from({ length: HIGHEST_NUMBER }, (_, number) => number);

/** The calls of a table that this architecture has. */
function present<Row extends readonly [SyscallName, ...unknown[]]>(table: readonly Row[]): Row[] {
  return table.filter(([name]) => numberOf(name) !== undefined);
}

describe("calls that no function needs", () => {
  test("are refused, each by its name", async () => {
    const named = present(FORBIDDEN.map((name) => [name] as const));
    const fates = await attemptAll(
      launcher,
      named.map(([name]) => ({ number: numberOf(name) as number })),
    );
    assert.deepEqual(
      named.flatMap(([name], index) => (fates[index] === "EPERM" ? [] : [`${name}: ${fates[index]}`])),
      [],
    );
    assert.ok(named.length > 100);
  });

  test("are refused by number, and so is every number that means nothing yet", async () => {
    assert.ok((await refusedAsTheFilterSays(everyNumber.map((number) => ({ number })))) > 700);
  });

  test("are refused with bits above the number, which the kernel does not look at", async () => {
    const attempts = everyNumber.flatMap((number) => [
      { number: BigInt(number) | (1n << 32n) },
      { number: BigInt(number) | (1n << 63n) },
    ]);
    assert.ok((await refusedAsTheFilterSays(attempts)) > 1_400);
  });
});

describe("calls that are refused by their arguments", () => {
  test("end as they should", async () => {
    const rows = present(WITH_ARGUMENTS);
    const fates = await attemptAll(
      launcher,
      rows.map(([name, args]) => ({ number: numberOf(name) as number, args })),
    );
    const wrong = rows.flatMap(([name, args, expected], index) =>
      fates[index] === expected
        ? []
        : [`${name}${show({ number: "" as never, args })}: ${fates[index]}, not ${expected}`],
    );
    assert.deepEqual(wrong, []);
  });

  test("stay refused whichever bit of whichever argument is turned", async () => {
    const attempts = present(HARMLESS).flatMap(([name, args]) =>
      Array.from({ length: 6 }, (_, argument) => argument).flatMap((argument) =>
        Array.from({ length: 64 }, (_, bit) => ({
          number: numberOf(name) as number,
          args: args.map((value, index) => (index === argument ? BigInt(value) ^ (1n << BigInt(bit)) : BigInt(value))),
        })),
      ),
    );
    assert.ok((await refusedAsTheFilterSays(attempts)) > 200);
  });
});

describe("the other entries of the kernel", {
  skip: architecture.x32Bit === null && "this architecture has none",
}, () => {
  const x32 = architecture.x32Bit ?? 0;

  test("x32 numbers end the caller", async () => {
    const fates = await attemptAll(launcher, [
      ...everyNumber.slice(0, 600).map((number) => ({ number: x32 + number })),
      { number: -1 },
      { number: 0x7fffffff },
    ]);
    assert.deepEqual([...new Set(fates)], ["SIGSYS"]);
  });

  // A kernel without that entry has it for a fault, before any filter.
  test("32-bit calls end the caller, whatever their number, and are not made", async () => {
    const numbers = everyNumber.slice(0, HIGHEST_FOREIGN_NUMBER);
    const fates = await attemptAll(
      launcher,
      numbers.map((number) => ({ number, foreign: true })),
    );
    const [first, ...others] = new Set(fates);
    assert.ok(first === "SIGSYS" || first === "SIGSEGV", first);
    assert.deepEqual(others, []);
  });
});

test("the attempts are real: what is allowed is carried out", async () => {
  const rows = present([
    ["getpid", [], "ok"],
    ["read", [-1, 0, 1], "EBADF"],
    ["openat", [-100, 0, 0], "EFAULT"],
    ["kill", [12345, 0], "ESRCH"],
    ["close", [900], "EBADF"],
  ] as const);
  const fates = await attemptAll(
    launcher,
    rows.map(([name, args]) => ({ number: numberOf(name) as number, args })),
  );
  assert.deepEqual(
    fates,
    rows.map(([, , expected]) => expected),
  );
});
