/**
 * What happens as there is more of something: gateways and workers, deployed functions and tenants,
 * jobs that wait. All sizes are measured in turn, so each of them has a platform, or a queue, of
 * its own. The model of larger machines has its costs of the smallest fleet, and is held against
 * all of them.
 */
import { availableParallelism } from "node:os";
import type { Platform } from "../../helpers/platform.ts";
import { Backlog } from "../measure/backlog.ts";
import { allOf, inTurn } from "../measure/blocks.ts";
import { BenchChild } from "../measure/child.ts";
import { Contender } from "../measure/contender.ts";
import type { Ledger } from "../measure/ledger.ts";
import { levelOf, runLevels } from "../measure/levels.ts";
import { type CallCosts, LARGER, predict } from "../measure/model.ts";
import { Sheet } from "../measure/sheet.ts";
import { Samples } from "../measure/stats.ts";
import type { Peers } from "../peers/peers.ts";
import { deployHello } from "../run/deployment.ts";
import { accountsOf, startOurs } from "../run/ours.ts";
import type { Plan } from "../run/plan.ts";
import { Planter } from "../run/planted.ts";
import type { Suite } from "../run/suite.ts";

const suite = "scale";
const IN_FLIGHT = [1, 64] as const;
const MS_PER_SECOND = 1_000;

/** A platform of some size. */
interface Entrant {
  contender: Contender;
  target: string;
  kind: "fleet" | "population";
  /** Gateways, and as many workers. */
  count: number;
}

export async function openScaleSuite(plan: Plan, _peers: Peers): Promise<Suite> {
  await using started = new AsyncDisposableStack();
  const load = await BenchChild.start("http-load.ts");
  started.defer(() => load.close());
  const entrants = await allOf([
    ...plan.fleets.map((count) => openFleet(started, load, plan, count)),
    ...plan.populations.map((population) => openPopulation(started, load, plan, population)),
  ]);
  const backlogs = await allOf(plan.waitingJobs.map((jobs) => openBacklog(started, jobs)));
  const opened = started.move();
  let rounds = 0;
  return {
    async round(counts) {
      const round = rounds++;
      await runLevels(entrants, IN_FLIGHT, { round, counts, plan });
      await inTurn(
        round,
        backlogs.map((backlog) => () => backlog.round(counts)),
      );
    },
    results() {
      const sheet = new Sheet(suite);
      for (const kind of ["fleet", "population"] as const) {
        writePlatforms(
          sheet,
          entrants.filter((one) => one.kind === kind),
        );
      }
      writeModel(
        sheet,
        entrants.filter((one) => one.kind === "fleet"),
      );
      writeBacklogs(sheet, backlogs);
      return sheet.results;
    },
    close: () => opened.disposeAsync(),
  };
}

type Costs = ReturnType<Ledger["costs"]>;
type Started = AsyncDisposableStack;

async function openFleet(started: Started, load: BenchChild, plan: Plan, count: number): Promise<Entrant> {
  const platform = await startOurs(started, plan, { workers: count, gateways: count });
  const path = new URL(await deployHello(platform)).pathname;
  const name = count === 1 ? "1 gateway, 1 worker" : `${count} gateways, ${count} workers`;
  const target = platform.urls.map((url) => url + path).join(" ");
  return { ...entrant("fleet", name, platform, load, target), count };
}

async function openPopulation(
  started: Started,
  load: BenchChild,
  plan: Plan,
  { functions, tenants }: Plan["populations"][number],
): Promise<Entrant> {
  const platform = await startOurs(started, plan);
  const target = await deployHello(platform);
  const planter = new Planter(platform);
  // The one that is called is one of them, and its tenant too.
  const plantings = Array.from({ length: functions - 1 }, (_, index) => {
    const tenant = index % tenants;
    return { tenant: tenant === 0 ? "main" : `tenant-${tenant}`, name: `function-${index}` };
  });
  await planter.plantMany(await planter.versionOf("hello"), plantings);
  const name = `${counted(functions, "function")}, ${counted(tenants, "tenant")}`;
  return entrant("population", name, platform, load, target);
}

async function openBacklog(started: Started, jobs: number): Promise<Backlog> {
  const backlog = await Backlog.start();
  started.defer(() => backlog.close());
  await backlog.fill(jobs);
  return backlog;
}

function entrant(kind: Entrant["kind"], name: string, platform: Platform, load: BenchChild, target: string): Entrant {
  return { contender: new Contender(name, { load, accounts: accountsOf(platform, load) }), target, kind, count: 1 };
}

function counted(count: number, what: string): string {
  return `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;
}

/** The first one is the floor of the others. */
function writePlatforms(sheet: Sheet, entrants: readonly Entrant[]): void {
  const [first, ...others] = entrants;
  if (first === undefined) return;
  for (const inFlight of IN_FLIGHT) {
    for (const one of entrants) writePlatform(sheet, one, levelOf(inFlight));
    for (const one of others) compare(sheet, one, first, inFlight);
  }
}

function writePlatform(sheet: Sheet, { contender, kind }: Entrant, level: string): void {
  const { latency, rate, ledger } = contender.at(level);
  const name = `${contender.name}, ${level}`;
  const style = {
    chart: `${kind === "fleet" ? "gateways and workers" : "functions and tenants"}, ${level}`,
    label: contender.name,
  };
  sheet.row(name, "ms", latency, style).row(name, "per s", rate, style).cost(name, ledger);
  if (ledger.calls === 0) return;
  const full = redisIsFull(ledger.costs().cpuMsPerCall.redis ?? 0);
  sheet.row(`${name}: Redis has no time left at`, "per s", full, { ...style, chart: `Redis is full, ${style.chart}` });
}

/** One call at a time shows what a call costs, many what all of it can do. */
function compare(sheet: Sheet, { contender, kind }: Entrant, first: Entrant, inFlight: number): void {
  const [ours, floor] = [contender.at(levelOf(inFlight)), first.contender.at(levelOf(inFlight))];
  const names = `${contender.name} / ${first.contender.name}`;
  if (inFlight !== 1) {
    sheet.ratio(`throughput, ${names}, ${levelOf(inFlight)}`, "per s", [ours.rate, floor.rate]);
  } else if (kind === "population") {
    sheet.ratio(`latency, ${names}`, "ms", [ours.latency, floor.latency]);
  }
}

/**
 * Predictions for larger machines, by the costs of a call of the smallest fleet: when many share
 * jobs of the queue, and when each has one. Of the measured fleets, the model over the measurement.
 */
function writeModel(sheet: Sheet, fleets: readonly Entrant[]): void {
  const [first] = fleets;
  if (first === undefined) return;
  for (const inFlight of IN_FLIGHT.toReversed()) {
    const { ledger } = first.contender.at(levelOf(inFlight));
    if (ledger.calls === 0) continue;
    const costs = costsOf(ledger.costs(), inFlight);
    sheet.predictions(LARGER.map((size) => predict(costs, size)));
    if (inFlight === 1) continue;
    const besideMs = ledger.costs().cpuMsPerCall["load generator"] ?? 0;
    for (const { contender, count } of fleets) {
      const size = { processors: availableParallelism(), gateways: count, workers: count };
      const { callsPerSecond } = predict(costs, size, besideMs);
      const { rate } = contender.at(levelOf(inFlight));
      if (rate.isEmpty) continue;
      const predicted = new Samples();
      // One for all rounds: the spread is that of what was measured.
      for (const _ of rate.summary().byRound) predicted.addRound([callsPerSecond]);
      sheet.ratio(`the model / measured, ${contender.name}, ${levelOf(inFlight)}`, "per s", [predicted, rate]);
    }
  }
}

function costsOf({ cpuMsPerCall, redisCommandsPerCall }: Costs, inFlight: number): CallCosts {
  return {
    inFlight,
    gatewayMs: cpuMsPerCall.gateway ?? 0,
    workerMs: cpuMsPerCall.worker ?? 0,
    sandboxesMs: cpuMsPerCall["zygote and sandboxes"] ?? 0,
    redisMs: cpuMsPerCall.redis ?? 0,
    redisCommands: redisCommandsPerCall ?? 0,
  };
}

/** Redis runs commands in one thread: it is full when calls take all of that thread's time. */
function redisIsFull(cpuMsPerCall: number): Samples {
  const samples = new Samples();
  samples.addRound(cpuMsPerCall > 0 ? [MS_PER_SECOND / cpuMsPerCall] : []);
  return samples;
}

function writeBacklogs(sheet: Sheet, backlogs: readonly Backlog[]): void {
  const [first, ...others] = backlogs;
  const name = ({ jobs }: Backlog) => `${jobs.toLocaleString("en")} jobs waiting`;
  for (const backlog of backlogs) {
    sheet
      .row(`submit a call, ${name(backlog)}`, "ms", backlog.submitting, {
        chart: "submit a call",
        label: name(backlog),
      })
      .row(`take calls, ${name(backlog)}`, "per s", backlog.taking, { chart: "take calls", label: name(backlog) })
      .cost(`submit and take, ${name(backlog)}`, backlog.ledger);
  }
  for (const backlog of others) {
    if (first === undefined) return;
    sheet
      .ratio(`submit, ${name(backlog)} / ${name(first)}`, "ms", [backlog.submitting, first.submitting])
      .ratio(`take, ${name(backlog)} / ${name(first)}`, "per s", [backlog.taking, first.taking]);
  }
}
