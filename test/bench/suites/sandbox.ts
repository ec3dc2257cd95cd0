/** Making sandboxes: from the wish for one until its runtime says `ready`, against starting a bare Node. */
import { openTestLauncher, SandboxClient } from "../../helpers/sandbox-client.ts";
import { inTurn, perSecond, sequence } from "../blocks.ts";
import { nodeStartMs } from "../node-floor.ts";
import type { Plan } from "../plan.ts";
import { ratioOf, Samples } from "../stats.ts";
import { judged, type Suite } from "../suite.ts";

const LANES = 2;
const suite = "sandbox";

export async function openSandboxSuite(plan: Plan): Promise<Suite> {
  const launcher = await openTestLauncher();
  const creation = new Samples();
  const teardown = new Samples();
  const nodeStart = new Samples();
  const creationRate = new Samples();
  const nodeRate = new Samples();
  let rounds = 0;

  const makeOne = async (): Promise<{ createdMs: number; endedMs: number }> => {
    const startMs = performance.now();
    const client = await SandboxClient.blank(launcher);
    const readyMs = performance.now();
    await client[Symbol.asyncDispose]();
    return { createdMs: readyMs - startMs, endedMs: performance.now() - readyMs };
  };

  return {
    async round(counts) {
      const add = (samples: Samples, values: readonly number[]): void => {
        if (counts) samples.addRound(values);
      };
      await inTurn(rounds++, [
        async () => {
          const endedMs: number[] = [];
          const createdMs = await sequence(plan.sandboxesPerRound, async () => {
            const made = await makeOne();
            endedMs.push(made.endedMs);
            return made.createdMs;
          });
          add(creation, createdMs);
          add(teardown, endedMs);
        },
        async () => add(nodeStart, await sequence(plan.sandboxesPerRound, nodeStartMs)),
        async () => add(creationRate, [await perSecond(plan.sustainedPerRound, LANES, makeOne)]),
        async () => add(nodeRate, [await perSecond(plan.sustainedPerRound, LANES, nodeStartMs)]),
      ]);
    },
    results: () => ({
      rows: [
        { suite, name: "creation, one after the other", unit: "ms", ...creation.summary() },
        { suite, name: "teardown", unit: "ms", ...teardown.summary() },
        { suite, name: "node -e 0", unit: "ms", ...nodeStart.summary() },
        { suite, name: "creation and teardown, 2 lanes", unit: "per s", ...creationRate.summary() },
        { suite, name: "node -e 0, 2 lanes", unit: "per s", ...nodeRate.summary() },
      ],
      ratios: [
        judged({
          suite,
          name: "creation / node -e 0",
          ...ratioOf(creation, nodeStart),
          target: { bound: "at most", value: 0.2 },
        }),
        judged({ suite, name: "rate in 2 lanes / node -e 0", ...ratioOf(creationRate, nodeRate), target: null }),
      ],
      costs: [],
    }),
    close: () => launcher.close(),
  };
}
