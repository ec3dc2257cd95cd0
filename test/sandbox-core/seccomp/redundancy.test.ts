/**
 * No part of a policy is there for nothing: each call, condition and value decides some call that
 * nothing else decides.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ARCHITECTURES, type SyscallName } from "../../../sandbox-core/abi/arch.ts";
import { COMMAND_POLICY } from "../../../sandbox-core/seccomp/commands.ts";
import { EXEC_POLICY, FORK_POLICY, ZYGOTE_POLICY } from "../../../sandbox-core/seccomp/policy.ts";
import { INJECTOR_POLICY, NO_RINGS_POLICY, RELAY_POLICY } from "../../../sandbox-core/seccomp/relay.ts";
import type { Condition, Policy, Rule } from "../../../sandbox-core/seccomp/rule.ts";
import { casesOf, decide, rulesOf, valuesOf } from "../../helpers/policy.ts";

/** A policy with one part less, and the call whose fate that part decides. */
interface Lesser {
  what: string;
  call: SyscallName;
  policy: Policy;
}

/** The policy without each of its parts in turn. */
function* lesserPolicies(policy: Policy): Generator<Lesser> {
  for (const [index, rule] of policy.rules.entries()) {
    const replaced = (...rules: Rule[]) => ({ ...policy, rules: policy.rules.toSpliced(index, 1, ...rules) });
    for (const call of rule.calls) {
      const others = rule.calls.filter((other) => other !== call);
      yield { what: `${call} in "${rule.reason}"`, call, policy: replaced({ ...rule, calls: others }) };
      const { when = [] } = rule;
      for (const [at, condition] of when.entries()) {
        yield {
          what: `condition ${at} of ${call} in "${rule.reason}"`,
          call,
          policy: replaced({ ...rule, when: when.toSpliced(at, 1) }),
        };
        for (const value of valuesOf(condition))
          yield {
            what: `value ${value} in condition ${at} of ${call} in "${rule.reason}"`,
            call,
            policy: replaced({ ...rule, when: when.with(at, without(condition, value)) }),
          };
      }
    }
  }
}

function without(condition: Condition, value: number): Condition {
  const { argument, mask } = condition;
  const oneOf = valuesOf(condition).filter((other) => other !== value);
  return { argument, oneOf, ...(mask === undefined ? {} : { mask }) };
}

/** The parts that could be left out without any call on any architecture ending otherwise. */
function redundantParts(policy: Policy): string[] {
  return [...lesserPolicies(policy)].filter((lesser) => !differs(policy, lesser)).map(({ what }) => what);
}

function differs(policy: Policy, { call, policy: lesser }: Lesser): boolean {
  const only = (whole: Policy): Policy => ({ ...whole, rules: rulesOf(whole, call) });
  const [before, after] = [only(policy), only(lesser)];
  return Object.values(ARCHITECTURES).some((architecture) =>
    casesOf(before, architecture, call).some(
      (one) => decide(before, architecture, one) !== decide(after, architecture, one),
    ),
  );
}

const POLICIES = {
  FORK_POLICY,
  EXEC_POLICY,
  COMMAND_POLICY,
  ZYGOTE_POLICY,
  RELAY_POLICY,
  INJECTOR_POLICY,
  NO_RINGS_POLICY,
};
for (const [name, policy] of Object.entries(POLICIES)) {
  test(`no part of ${name} is redundant or shadowed`, () => assert.deepEqual(redundantParts(policy), []));

  test(`a rule of ${name} that is there twice is found`, () => {
    for (const rule of policy.rules)
      for (const call of rule.calls) {
        const alone = (one: Rule): Rule => ({ ...one, calls: [call] });
        const again = { ...alone(rule), reason: "again" };
        const twice = { ...policy, rules: [...rulesOf(policy, call).map(alone), again] };
        const parts = [...lesserPolicies(twice)].filter(({ what }) => what === `${call} in "again"`);
        assert.deepEqual(
          parts.map((lesser) => differs(twice, lesser)),
          [false],
          call,
        );
      }
  });
}

test("a rule behind one that says it already is found, and so is a value that is given twice", () => {
  const narrow: Rule = { ...(rulesOf(EXEC_POLICY, "execve")[0] as Rule), calls: ["mmap"], reason: "narrow" };
  const mmap = rulesOf(FORK_POLICY, "mmap");
  const shadowed = { ...FORK_POLICY, rules: [narrow, ...mmap] };
  assert.ok(redundantParts(shadowed).includes(`mmap in "${mmap[0]?.reason}"`));
  const wide: Policy = { ...FORK_POLICY, rules: [{ ...narrow, when: [{ argument: 0, mask: 1, oneOf: [1, 0] }] }] };
  assert.deepEqual(redundantParts(wide), []);
  const ioctl = rulesOf(FORK_POLICY, "ioctl")[0] as Rule;
  const again = { ...FORK_POLICY, rules: [ioctl, { ...ioctl, reason: "again" }] };
  assert.ok(redundantParts(again).some((part) => part.startsWith("value") && part.endsWith('"again"')));
});
