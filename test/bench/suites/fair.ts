/**
 * The cost of a neighbour: the calls of a light tenant alone, beside the flood of another one, and
 * beside one whose functions burn all processors; with one gateway and worker, and with two.
 */
import { setTimeout as delay } from "node:timers/promises";
import { inTurn } from "../measure/blocks.ts";
import { BenchChild, type Block, type BlockLength } from "../measure/child.ts";
import { Sheet } from "../measure/sheet.ts";
import { Samples } from "../measure/stats.ts";
import { deployFiles, readHello } from "../run/deployment.ts";
import { startOurs } from "../run/ours.ts";
import type { Plan } from "../run/plan.ts";
import { Planter } from "../run/planted.ts";
import type { Suite } from "../run/suite.ts";

const suite = "fair";
/** Calls of the light tenant in flight at once. */
const LIGHT = 4;
/** Slots of all workers together, so that the neighbours have more calls than there are. */
const SLOTS = 16;
/**
 * How long a neighbour goes on before calls count as beside it: all its instances are there by
 * then, and workers know what they use. What calls take before is told apart.
 */
const SETTLE_MS = 2_000;
/** A block has enough calls for a p99, also where neighbours leave little. */
const BLOCK_FACTOR = 2;

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
const NAMES = Object.keys(NEIGHBOURS) as Neighbour[];

/** Of the calls of the light tenant, but for the rate. */
interface Beside {
  /** Before and after the neighbour. */
  alone: Samples;
  beside: Samples;
  /** In the first half of the time for which it settles. */
  first: Samples;
  /** Calls of the neighbour in a second. */
  rate: Samples;
}

interface Fleet {
  name: string;
  light: BenchChild;
  load: BenchChild;
  target: string;
  targets: Record<Neighbour, string>;
  alone: Samples;
  by: Record<Neighbour, Beside>;
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
      const blocks = fleets.map((fleet) => () => (counts ? measure(fleet, plan) : warmUp(fleet, plan)));
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
  loads: Pick<Fleet, "light" | "load">,
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
    ...loads,
    target: await plant("light", readHello()),
    targets: { flood: await plant("flood", NEIGHBOURS.flood.source), hog: await plant("hog", NEIGHBOURS.hog.source) },
    alone: new Samples(),
    by: { flood: besideNobody(), hog: besideNobody() },
  };
}

function besideNobody(): Beside {
  return { alone: new Samples(), beside: new Samples(), first: new Samples(), rate: new Samples() };
}

/** Calls of the light tenant: their latencies. */
async function callsOf({ light, target }: Fleet, length: BlockLength): Promise<number[]> {
  return (await light.run({ target, inFlight: LIGHT, ...length })).latenciesMs;
}

function startNeighbour({ load, targets }: Fleet, name: Neighbour, durationMs: number): Promise<Block> {
  return load.run({ target: targets[name], inFlight: NEIGHBOURS[name].inFlight, durationMs });
}

/** Has each setting compiled, and its instances started. */
async function warmUp(fleet: Fleet, { warmUp: length, blockMs }: Plan): Promise<void> {
  await callsOf(fleet, length);
  for (const name of NAMES) {
    const neighbour = startNeighbour(fleet, name, length.durationMs ?? blockMs);
    await callsOf(fleet, length);
    await neighbour;
  }
}

async function measure(fleet: Fleet, plan: Plan): Promise<void> {
  for (const name of NAMES) await measureBeside(fleet, name, plan);
}

/** Alone, beside, beside, alone: what drifts in a machine is in both. */
async function measureBeside(fleet: Fleet, name: Neighbour, plan: Plan): Promise<void> {
  const settleMs = Math.min(SETTLE_MS, plan.blockMs * 8);
  const durationMs = plan.blockMs * BLOCK_FACTOR;
  const { alone, beside, first, rate } = fleet.by[name];
  const before = await callsOf(fleet, { durationMs });
  const neighbour = startNeighbour(fleet, name, settleMs + 2 * durationMs);
  const settled = delay(settleMs);
  first.addRound(await callsOf(fleet, { durationMs: settleMs / 2 }));
  await settled;
  beside.addRound([...(await callsOf(fleet, { durationMs })), ...(await callsOf(fleet, { durationMs }))]);
  const { latenciesMs, elapsedMs } = await neighbour;
  rate.addRound([(latenciesMs.length / elapsedMs) * 1_000]);
  const both = [...before, ...(await callsOf(fleet, { durationMs }))];
  alone.addRound(both);
  fleet.alone.addRound(both);
}

function resultsOf(fleets: readonly Fleet[]) {
  const sheet = new Sheet(suite);
  for (const { name, alone: all, by } of fleets) {
    const style = (label: string) => ({ chart: `a light tenant, ${name}`, label });
    sheet.row(`light tenant alone, ${name}`, "ms", all, style("alone"));
    for (const neighbour of NAMES) {
      const { alone, beside, first, rate } = by[neighbour];
      sheet
        .row(`light tenant beside a ${neighbour}, ${name}`, "ms", beside, style(`beside a ${neighbour}`))
        .row(`light tenant as a ${neighbour} begins, ${name}`, "ms", first, style(`as a ${neighbour} begins`))
        .row(`the ${neighbour} itself, ${name}`, "per s", rate)
        .ratio(`p99 beside a ${neighbour} / alone, ${name}`, "ms", [beside, alone], 0.99)
        .ratio(`latency beside a ${neighbour} / alone, ${name}`, "ms", [beside, alone]);
    }
  }
  return sheet.results;
}
