/** Cold calls: the version was never run by this worker, its bundle is in the store, and the pool is full. */
import { setTimeout as delay } from "node:timers/promises";
import { Platform } from "../../helpers/platform.ts";
import { inTurn, sequence } from "../blocks.ts";
import { BenchChild } from "../child.ts";
import { deployHello } from "../deployment.ts";
import { nodeStartMs } from "../node-floor.ts";
import type { Plan } from "../plan.ts";
import { descendantsOf, isFirstInNamespace } from "../processes.ts";
import { ratioOf, Samples } from "../stats.ts";
import { judged, type Suite } from "../suite.ts";

const PREWARMED = 4;
const MEMORY_BYTES = 128 * 1024 * 1024;
/** Sandboxes beside those of the versions: blank ones and the one of the builds. */
const SPARE = PREWARMED + 8;
/** How often the pool is looked at, and for how long. */
const POLL_MS = 5;
const POOL_MS = 30_000;
const suite = "cold";

export async function openColdSuite(plan: Plan): Promise<Suite> {
  const versions = (plan.rounds + plan.warmupRounds) * plan.coldCallsPerRound;
  const platform = await startPlatform(versions + SPARE);
  const load = await BenchChild.start("http-load.ts").catch(async (error) => {
    await platform.stop();
    throw error;
  });
  const close = async (): Promise<void> => {
    await load.close();
    await platform.stop();
  };
  const urls = await deployAll(platform, versions).catch(async (error) => {
    await close();
    throw error;
  });
  const cold = new Samples();
  const nodeStart = new Samples();
  let loaded = 0;
  let rounds = 0;

  const callNext = async (): Promise<number> => {
    const target = urls.pop();
    if (target === undefined) throw new Error("every version has been called");
    await poolHolds(platform, loaded++ + PREWARMED);
    return (await load.run({ target, inFlight: 1, calls: 1 })).latenciesMs[0] as number;
  };
  return {
    async round(counts) {
      const coldMs: number[] = [];
      const nodeMs: number[] = [];
      // One and one: the pool fills up while the floor is measured, and has done so before the next call.
      for (let index = 0; index < plan.coldCallsPerRound; index++) {
        await inTurn(rounds++, [
          async () => void coldMs.push(await callNext()),
          async () => void nodeMs.push(...(await sequence(1, nodeStartMs))),
        ]);
      }
      if (!counts) return;
      cold.addRound(coldMs);
      nodeStart.addRound(nodeMs);
    },
    results: () => ({
      rows: [
        { suite, name: "cold call over HTTP", unit: "ms", ...cold.summary() },
        { suite, name: "node -e 0", unit: "ms", ...nodeStart.summary() },
      ],
      ratios: [
        judged({
          suite,
          name: "cold call / node -e 0",
          ...ratioOf(cold, nodeStart),
          target: { bound: "at most", value: 0.5 },
        }),
      ],
      costs: [],
    }),
    close,
  };
}

/** Room for every version at once, so that no call waits for another version's end. */
function startPlatform(sandboxes: number): Promise<Platform> {
  return Platform.start({
    env: {
      SANDPIPER_PREWARMED: String(PREWARMED),
      SANDPIPER_MAX_SANDBOXES: String(sandboxes),
      SANDPIPER_MEMORY_BUDGET_BYTES: String(sandboxes * MEMORY_BYTES),
    },
  });
}

async function deployAll(platform: Platform, count: number): Promise<string[]> {
  const urls: string[] = [];
  for (let index = 0; index < count; index++) urls.push(await deployHello(platform, `cold-${index}`));
  return urls;
}

/** Resolves when the worker has at least so many sandboxes for functions. */
async function poolHolds(platform: Platform, count: number): Promise<void> {
  const [worker] = platform.workers;
  if (worker === undefined) throw new Error("there is no worker");
  const sandboxes = (): number => platform.zygotes(worker).flatMap(descendantsOf).filter(isFirstInNamespace).length;
  const deadlineMs = performance.now() + POOL_MS;
  while (sandboxes() < count) {
    if (performance.now() > deadlineMs) throw new Error(`the worker has not ${count} sandboxes, but ${sandboxes()}`);
    await delay(POLL_MS);
  }
}
