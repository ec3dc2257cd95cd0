import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { SandboxExit } from "../../../sandbox-core/contract/sandbox.ts";
import type { Overrun } from "../../../sandbox-core/launcher/work-limit.ts";
import { CallFailure, type Cause, type End, judge, type Preparing } from "../../../worker/outcome/outcome.ts";

const V8_LAST_WORDS = `
<--- Last few GCs --->
[1:0x1]  200 ms: Scavenge 88.1 (91.0) -> 88.0 (91.2) MB
<--- JS stacktrace --->
FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory
`;

function exit(how: Partial<SandboxExit>, oomKills = 0): SandboxExit {
  return { code: 0, signal: null, usage: { cpuMs: 1, peakMemoryBytes: 1, throttledMs: 0, oomKills }, ...how };
}

function overrun(during: Preparing, limit: Overrun["limit"]): Cause {
  return { by: "work_limit", during, overrun: { limit, limitMs: 5 } };
}

function verdict(end: Partial<End>): string {
  const { outcome, code } = judge({ cause: null, exit: null, outputTail: "", memoryMiB: 128, ...end });
  return `${outcome} ${code}`;
}

describe("judging the end of a sandbox", () => {
  const cases: [name: string, end: Partial<End>, wanted: string][] = [
    ["exit code 0", { exit: exit({ code: 0 }) }, "function_error FUNCTION_EXITED"],
    ["exit code 1", { exit: exit({ code: 1 }) }, "function_error FUNCTION_EXITED"],
    ["an abort", { exit: exit({ code: null, signal: 6 }) }, "killed KILLED"],
    ["a crash", { exit: exit({ code: null, signal: 11 }) }, "killed KILLED"],
    ["a forbidden system call", { exit: exit({ code: null, signal: 31 }) }, "killed KILLED"],
    ["the kernel's counter with exit 137", { exit: exit({ code: 137 }, 1) }, "out_of_memory OUT_OF_MEMORY"],
    ["the kernel's counter with exit 0", { exit: exit({ code: 0 }, 1) }, "out_of_memory OUT_OF_MEMORY"],
    [
      "V8's heap limit",
      { exit: exit({ code: null, signal: 6 }), outputTail: V8_LAST_WORDS },
      "out_of_memory OUT_OF_MEMORY",
    ],
    [
      "V8's words printed by the function itself",
      { exit: exit({}), outputTail: V8_LAST_WORDS },
      "function_error FUNCTION_EXITED",
    ],
    ["a zygote that died", { exit: exit({ code: null, reason: "the zygote died" }) }, "platform_error SANDBOX_LOST"],
    [
      "a sandbox that took too much of the machine",
      { exit: exit({ code: null, signal: 9, reason: "it had too much", overuse: "it had too much" }) },
      "killed KILLED",
    ],
    ["an end that nobody saw", { exit: null }, "platform_error SANDBOX_LOST"],
    ["a deadline", { cause: { by: "deadline", limitMs: 5 } }, "timeout TIMEOUT"],
    ["a load that runs for long", { cause: overrun("load", "cpu") }, "timeout TIMEOUT"],
    ["a load that waits for long", { cause: overrun("load", "wait") }, "timeout TIMEOUT"],
    ["a load on a busy machine", { cause: overrun("load", "wall") }, "platform_error MACHINE_BUSY"],
    ["an afterRestore that runs for long", { cause: overrun("restore", "cpu") }, "timeout TIMEOUT"],
    ["an afterRestore on a busy machine", { cause: overrun("restore", "wall") }, "platform_error MACHINE_BUSY"],
    [
      "a sandbox that hangs without a version",
      { cause: overrun("start", "wait") },
      "platform_error SANDBOX_UNAVAILABLE",
    ],
    ["a sandbox on a busy machine", { cause: overrun("start", "wall") }, "platform_error MACHINE_BUSY"],
    ["a broken protocol", { cause: { by: "violation", message: "x" }, exit: exit({}) }, "killed KILLED"],
    [
      "a broken protocol for want of memory",
      { cause: { by: "violation", message: "x" }, exit: exit({}, 2) },
      "out_of_memory OUT_OF_MEMORY",
    ],
    ["a closed wire", { cause: { by: "hang_up" }, exit: exit({}) }, "killed KILLED"],
    [
      "too large a reply",
      { cause: { by: "reply_limit", limitBytes: 9, limitName: "L" } },
      "function_error REPLY_TOO_LARGE",
    ],
  ];
  for (const [name, end, wanted] of cases) it(`${name}: ${wanted}`, () => assert.equal(verdict(end), wanted));

  it("says the limit and what to change", () => {
    const message = (end: Partial<End>) =>
      judge({ cause: null, exit: null, outputTail: "", memoryMiB: 256, ...end }).message;
    const deadline: Cause = { by: "deadline", limitMs: 1234 };
    assert.match(message({ cause: deadline }), /1234 ms.*timeoutMs in sandpiper\.jsonc/);
    assert.match(message({ cause: overrun("load", "cpu") }), /not loaded after 5 ms of processor time\. Do less at/);
    assert.match(
      message({ cause: overrun("restore", "wait") }),
      /not done after 5 ms in which it waited .* Do less in it/,
    );
    assert.match(message({ cause: overrun("load", "wall") }), /within 5 ms, as this machine is too busy/);
    assert.match(message({ exit: exit({}, 1) }), /256 MiB.*memoryMiB in sandpiper\.jsonc/);
    assert.match(message({ exit: exit({ code: 7 }) }), /exit code 7/);
    assert.match(message({ exit: exit({ code: null, signal: 31 }) }), /SIGSYS.*system call that the sandbox/);
  });

  it("tells a client nothing of a mistake of ours", () => {
    const failure = CallFailure.from(new Error("secret"));
    assert.deepEqual([failure.outcome, failure.code], ["platform_error", "INTERNAL"]);
    assert.doesNotMatch(JSON.stringify(failure.public), /secret/);
  });
});
