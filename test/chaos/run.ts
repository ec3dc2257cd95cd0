/** One run: a site under load, a fault, its heal, and the count. */
import { type Fault, Scene } from "./faults.ts";
import { type Figures, measure } from "./figures.ts";
import { KINDS, type KindName, type Mix, USUAL } from "./kinds.ts";
import { Leaks } from "./leaks.ts";
import { Ledger } from "./ledger.ts";
import { Load } from "./load.ts";
import { randomOf } from "./random.ts";
import { Site, type SiteOptions, type SiteTimes } from "./site.ts";
import { holdsWithin, monotonicMs, until } from "./time.ts";

export interface ChaosRun {
  name: string;
  /** What happens, in a line. */
  what: string;
  fault: Fault;
  /** Error codes that the fault explains. */
  may: readonly string[];
  site?: SiteOptions;
  mix?: Mix;
  /** Whether no call may fail. */
  noErrors?: true;
  /** Whether it needs namespaces of the test's own (main.ts). */
  apart?: true;
}

/** How long each part of a run takes, and how much is sent. */
export interface Plan extends SiteTimes {
  /** Before anything is counted in the figures of time. */
  warmUpMs: number;
  beforeMs: number;
  /** How long a fault lasts at least. */
  duringMs: number;
  afterMs: number;
  /** Calls a second. */
  rate: number;
  seed: number;
}

export interface RunResult {
  run: ChaosRun;
  figures: Figures;
  /** In words; empty when nothing was left. */
  leaks: string[];
  /** Whether a call of each kind was right in the end. */
  heals: boolean;
  /** Ends of services that nobody asked for. */
  deaths: string[];
}

/** @throws Error when the site does not start */
export async function runOnce(run: ChaosRun, plan: Plan): Promise<RunResult> {
  const [result] = await runTogether([run], run.site ?? {}, plan);
  return result as RunResult;
}

/**
 * One run after the other on one site, which takes less time; what is left after its end counts for
 * the last. @throws Error when the site does not start
 */
export async function runTogether(runs: readonly ChaosRun[], options: SiteOptions, plan: Plan): Promise<RunResult[]> {
  const site = await Site.start({ ...options, ...plan });
  const leaks = new Leaks(site);
  try {
    const results: RunResult[] = [];
    for (const run of runs) results.push(await runOn(site, run, leaks, plan));
    await site.stop();
    results.at(-1)?.leaks.push(...(await leaks.afterEnd()));
    return results;
  } finally {
    await site.stop();
    leaks.close();
  }
}

async function runOn(site: Site, run: ChaosRun, leaks: Leaks, plan: Plan): Promise<RunResult> {
  const mix = run.mix ?? USUAL;
  const ledger = new Ledger(run.name);
  const scene = new Scene({ site, ledger, random: randomOf(plan.seed), duringMs: plan.duringMs });
  const startLoad = () => new Load({ ...{ client: site.client, ledger, mix }, random: scene.random, rate: plan.rate });
  const deathsBefore = site.deaths.length;
  const warmUp = startLoad();
  await until(monotonicMs() + plan.warmUpMs);
  await warmUp.stop();
  await leaks.begin();
  const load = startLoad();
  const phases = await throughFault(run.fault, scene, plan).finally(() => load.stop());
  const heals = await allRight(site, ledger, Object.keys(mix) as KindName[], plan.lostMs);
  const figures = measure(ledger.calls, site.executions.read(), phases);
  return { run, figures, leaks: await leaks.atRest(), heals, deaths: site.deaths.slice(deathsBefore) };
}

/** @returns when each part began and ended */
async function throughFault(fault: Fault, scene: Scene, plan: Plan) {
  const startMs = monotonicMs();
  await fault.prepare?.(scene);
  await until(startMs + plan.beforeMs);
  const beginMs = monotonicMs();
  await fault.begin(scene);
  if (fault.heal !== undefined) {
    await until(beginMs + plan.duringMs);
    await fault.heal(scene);
  }
  const healMs = monotonicMs();
  await until(healMs + plan.afterMs);
  return { startMs, beginMs, healMs, endMs: monotonicMs() };
}

/** Calls of each kind until one is right: how it heals is measured, here only that it does. */
async function allRight(site: Site, ledger: Ledger, kinds: readonly KindName[], mostMs: number): Promise<boolean> {
  const attempts = kinds.map((kind) =>
    holdsWithin(mostMs, async () => {
      const call = ledger.open(kind, monotonicMs());
      ledger.close(call, await site.client.send(KINDS[kind].send(call.id)), monotonicMs());
      return call.verdict === "right";
    }),
  );
  return (await Promise.all(attempts)).every(Boolean);
}
