/**
 * One run: suite by suite, each is set up, measures round by round, and is closed whatever happens.
 */

import { noPeers, type Peers } from "../peers/peers.ts";
import { judge, type Verdict } from "../report/targets.ts";
import { openBoxSuite } from "../suites/box.ts";
import { openColdSuite } from "../suites/cold.ts";
import { openDensitySuite } from "../suites/density.ts";
import { openEgressSuite } from "../suites/egress.ts";
import { openFairSuite } from "../suites/fair.ts";
import { openFreshSuite } from "../suites/fresh.ts";
import { openKindsSuite } from "../suites/kinds.ts";
import { openSandboxSuite } from "../suites/sandbox.ts";
import { openScaleSuite } from "../suites/scale.ts";
import { openTraceSuite } from "../suites/trace.ts";
import { openWarmSuite } from "../suites/warm.ts";
import { describeMachine, type Machine } from "./machine.ts";
import type { Plan, SuiteName } from "./plan.ts";
import type { OpenSuite, Results, Suite } from "./suite.ts";

export const SUITES = {
  sandbox: openSandboxSuite,
  box: openBoxSuite,
  cold: openColdSuite,
  warm: openWarmSuite,
  kinds: openKindsSuite,
  fresh: openFreshSuite,
  density: openDensitySuite,
  scale: openScaleSuite,
  trace: openTraceSuite,
  fair: openFairSuite,
  egress: openEgressSuite,
} satisfies Record<SuiteName, OpenSuite>;

export type { SuiteName } from "./plan.ts";
export const SUITE_NAMES = Object.keys(SUITES) as SuiteName[];

export interface Report extends Results {
  machine: Machine;
  plan: Plan;
  suites: SuiteName[];
  /** How long each took, from its set-up until it was closed. */
  elapsedMs: Partial<Record<SuiteName, number>>;
  verdicts: Verdict[];
}

export interface BenchOptions {
  suites: readonly SuiteName[];
  plan: Plan;
  /** None, unless they are given. */
  peers?: Peers;
  /** Told what it does now. */
  onProgress?: (text: string) => void;
  /** Ends the run between two rounds. */
  signal?: AbortSignal;
}

/**
 * What a suite takes in all, for each second of its rounds: it is set up, warmed up, finished and
 * closed, too.
 */
const WHOLE_OF_ROUNDS = 1.5;

/**
 * Measures. Nothing is left behind, also when it fails. @throws what a suite throws, or the
 * signal's reason
 */
export async function runBench(options: BenchOptions): Promise<Report> {
  const { suites, plan } = options;
  options.onProgress?.("the machine: prices of its kernel");
  const machine = await describeMachine();
  const elapsedMs: Report["elapsedMs"] = {};
  const deadlineMs = performance.now() + plan.limitMs;
  const all: Results = { rows: [], ratios: [], costs: [], predictions: [], notes: [] };
  for (const [index, name] of suites.entries()) {
    const startMs = performance.now();
    const comingMs = suites.slice(index).reduce((sum, next) => sum + plan.roundsMs[next] * WHOLE_OF_ROUNDS, 0);
    const part = Math.min(1, Math.max(0, (deadlineMs - startMs) / comingMs));
    const results = await runSuite(name, plan.roundsMs[name] * part, options);
    elapsedMs[name] = performance.now() - startMs;
    all.rows.push(...results.rows);
    all.ratios.push(...results.ratios);
    all.costs.push(...results.costs);
    all.predictions.push(...results.predictions);
    all.notes.push(...results.notes);
  }
  return { machine, plan, suites: [...suites], elapsedMs, verdicts: judge(suites, all), ...all };
}

async function runSuite(
  name: SuiteName,
  roundsMs: number,
  { plan, peers, onProgress, signal }: BenchOptions,
): Promise<Results> {
  const tell = (text: string): void => {
    onProgress?.(`${name}: ${text}`);
    signal?.throwIfAborted();
  };
  tell("setting up");
  const suite: Suite = await SUITES[name](plan, peers ?? noPeers("this run takes no peers"));
  try {
    for (let round = 0; round < plan.warmupRounds; round++) {
      tell("warming up");
      await suite.round(false);
    }
    const endMs = performance.now() + roundsMs;
    for (let round = 0; round < plan.rounds && (round < plan.leastRounds || performance.now() < endMs); round++) {
      tell(`round ${round + 1}`);
      await suite.round(true);
    }
    tell("finishing");
    await suite.finish?.();
    return suite.results();
  } finally {
    onProgress?.(`${name}: closing`);
    await suite.close();
  }
}
