/**
 * The cost of a neighbour: the calls of a light tenant alone, beside the flood of another one, and
 * beside one whose functions burn all processors; with one gateway and worker, and with two.
 */
import { setTimeout as delay } from "node:timers/promises";
import { inTurn } from "../measure/blocks.ts";
import { BenchChild } from "../measure/child.ts";
import { Contender } from "../measure/contender.ts";
import { Sheet } from "../measure/sheet.ts";
import { Samples } from "../measure/stats.ts";
import { deployFiles, readHello } from "../run/deployment.ts";
import { accountsOf, startOurs } from "../run/ours.ts";
import type { Plan } from "../run/plan.ts";
import { Planter } from "../run/planted.ts";
import type { Suite } from "../run/suite.ts";

const suite = "fair";
const ALONE = "alone";
/** Calls of the light tenant in flight at once. */
const LIGHT = 4;
/** Slots of all workers together, so that the neighbours have more calls than there are. */
const SLOTS = 16;
/**
 * How long a neighbour goes on before calls are measured: all its instances are there by then, and
 * workers know what they use.
 */
const SETTLE_MS = 2_000;

/** The work of a neighbour's function, and how many of its calls are in flight at once. */
const NEIGHBOURS = {
  flood: {
    inFlight: 200,
    source: `export default { async fetch() {
  await new Promise((resolve) => setTimeout(resolve, 50));
  return new Response("slept");
} };`,
  },
  hog: {
    inFlight: 24,
    source: `export default { fetch() {
  const { user } = process.cpuUsage();
  while (process.cpuUsage().user - user < 20_000);
  return new Response("burnt");
} };`,
  },
} as const;
type Neighbour = keyof typeof NEIGHBOURS;

interface Fleet {
  name: string;
  light: Contender;
  target: string;
  targets: Record<Neighbour, string>;
  /** Calls of a neighbour in a second. */
  rates: Record<Neighbour, Samples>;
  load: BenchChild;
}

export async function openFairSuite(plan: Plan): Promise<Suite> {
  await using started = new AsyncDisposableStack();
  const patient = () => BenchChild.start("http-load.ts", "patient");
  const [light, load] = await Promise.all([patient(), patient()]);
  started.defer(() => light.close());
  started.defer(() => load.close());
  const fleets: Fleet[] = [];
  for (const size of [1, 2]) fleets.push(await startFleet(started, plan, size, { light, load }));
  const opened = started.move();
  let rounds = 0;
  return {
    async round(counts) {
      const blocks = fleets.map((fleet) => () => measure(fleet, plan, counts));
      await inTurn(rounds++, blocks);
    },
    results: () => resultsOf(fleets),
    close: () => opened.disposeAsync(),
  };
}

async function startFleet(
  started: AsyncDisposableStack,
  plan: Plan,
  size: number,
  { light, load }: { light: BenchChild; load: BenchChild },
): Promise<Fleet> {
  const env = { SANDPIPER_MAX_SANDBOXES: String(SLOTS / size) };
  const platform = await startOurs(started, plan, { gateways: size, workers: size, env });
  const planter = new Planter(platform);
  const plant = async (tenant: string, source: string) => {
    // A busy machine makes calls slow, and none of them wrong.
    await deployFiles(platform, tenant, source, { timeoutMs: 600_000 });
    await planter.plantBuilt(await planter.builtOf(tenant), { tenant, name: tenant });
    return platform.urls.map((url) => `${url}/fn/${tenant}/${tenant}`).join(" ");
  };
  return {
    name: `${size} ${size === 1 ? "gateway and worker" : "gateways and workers"}`,
    light: new Contender("light", { load: light, accounts: accountsOf(platform, light) }),
    target: await plant("light", readHello()),
    targets: { flood: await plant("flood", NEIGHBOURS.flood.source), hog: await plant("hog", NEIGHBOURS.hog.source) },
    rates: { flood: new Samples(), hog: new Samples() },
    load,
  };
}

async function measure(fleet: Fleet, plan: Plan, counts: boolean): Promise<void> {
  const request = { target: fleet.target, inFlight: LIGHT, durationMs: plan.blockMs };
  await fleet.light.block(ALONE, request, counts);
  for (const name of Object.keys(NEIGHBOURS) as Neighbour[]) {
    const { inFlight } = NEIGHBOURS[name];
    const settleMs = Math.min(SETTLE_MS, plan.blockMs * 8);
    const durationMs = settleMs + plan.blockMs;
    const neighbour = fleet.load.run({ target: fleet.targets[name], inFlight, durationMs });
    await delay(settleMs);
    await fleet.light.block(name, request, counts);
    const { latenciesMs, elapsedMs } = await neighbour;
    if (counts) fleet.rates[name].addRound([(latenciesMs.length / elapsedMs) * 1_000]);
  }
}

function resultsOf(fleets: readonly Fleet[]) {
  const sheet = new Sheet(suite);
  for (const { name, light, rates } of fleets) {
    const alone = light.at(ALONE).latency;
    const style = (label: string) => ({ chart: `a light tenant, ${name}`, label });
    sheet.row(`light tenant alone, ${name}`, "ms", alone, style(ALONE));
    for (const neighbour of Object.keys(NEIGHBOURS) as Neighbour[]) {
      const beside = light.at(neighbour).latency;
      sheet
        .row(`light tenant beside a ${neighbour}, ${name}`, "ms", beside, style(`beside a ${neighbour}`))
        .row(`the ${neighbour} itself, ${name}`, "per s", rates[neighbour])
        .ratio(`p99 beside a ${neighbour} / alone, ${name}`, "ms", [beside, alone], 0.99)
        .ratio(`latency beside a ${neighbour} / alone, ${name}`, "ms", [beside, alone]);
    }
  }
  return sheet.results;
}
