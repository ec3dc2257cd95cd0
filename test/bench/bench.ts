/** One run: suites are set up, take turns round by round, and are closed whatever happens. */
import { describeMachine, type Machine } from "./machine.ts";
import type { Plan } from "./plan.ts";
import type { OpenSuite, Results, Suite } from "./suite.ts";
import { openBoxSuite } from "./suites/box.ts";
import { openColdSuite } from "./suites/cold.ts";
import { openSandboxSuite } from "./suites/sandbox.ts";
import { openWarmSuite } from "./suites/warm.ts";

export const SUITES: Readonly<Record<string, OpenSuite>> = {
  sandbox: openSandboxSuite,
  box: openBoxSuite,
  cold: openColdSuite,
  warm: openWarmSuite,
};

export interface Report extends Required<Results> {
  machine: Machine;
  plan: Plan;
  suites: string[];
}

export interface BenchOptions {
  /** Names out of `SUITES`. */
  suites: readonly string[];
  plan: Plan;
  /** Told what it does now. */
  onProgress?: (text: string) => void;
  /** Ends the run between two rounds. */
  signal?: AbortSignal;
}

/** Measures. Nothing is left behind, also when it fails. @throws what a suite throws, or the signal's reason */
export async function runBench(options: BenchOptions): Promise<Report> {
  const { suites: names, plan, onProgress = () => {}, signal } = options;
  const machine = describeMachine();
  const suites: Suite[] = [];
  try {
    for (const name of names) {
      onProgress(`setting up ${name}`);
      const open = Object.hasOwn(SUITES, name) ? SUITES[name] : undefined;
      if (open === undefined) throw new Error(`there is no suite ${name}`);
      suites.push(await open(plan));
      signal?.throwIfAborted();
    }
    for (let round = -plan.warmupRounds; round < plan.rounds; round++) {
      onProgress(round < 0 ? "warming up" : `round ${round + 1} of ${plan.rounds}`);
      for (const suite of suites) {
        await suite.round(round >= 0);
        signal?.throwIfAborted();
      }
    }
    for (const [index, suite] of suites.entries()) {
      onProgress(`finishing ${names[index]}`);
      await suite.finish?.();
      signal?.throwIfAborted();
    }
    const results = suites.map((suite) => suite.results());
    return {
      machine,
      plan,
      suites: [...names],
      rows: results.flatMap(({ rows }) => rows),
      ratios: results.flatMap(({ ratios }) => ratios),
      costs: results.flatMap(({ costs }) => costs),
      notes: results.flatMap(({ notes = [] }) => notes),
    };
  } finally {
    onProgress("closing");
    await Promise.all(suites.map((suite) => suite.close()));
  }
}
