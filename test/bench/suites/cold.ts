/**
 * Cold calls: the version was never run by this worker, and its bundle is in the store. With a full
 * pool, with an empty one, and of a version that takes long to import; against the time from the
 * start of other servers to their first answer.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Version } from "../../../functions/model/version.ts";
import type { Platform } from "../../helpers/platform.ts";
import { allOf, inTurn } from "../measure/blocks.ts";
import { BenchChild } from "../measure/child.ts";
import { Ledger } from "../measure/ledger.ts";
import { descendantsOf, isFirstInNamespace } from "../measure/processes.ts";
import { nodeStartMs } from "../measure/programs.ts";
import { Sheet } from "../measure/sheet.ts";
import { Samples } from "../measure/stats.ts";
import type { Peers } from "../peers/peers.ts";
import { ServerHome } from "../peers/server.ts";
import { DENO_SERVE, FUNCTION_SERVERS, HONO, NODE_HTTP } from "../peers/servers.ts";
import { deployFiles, deployHello } from "../run/deployment.ts";
import { accountsOf, startOurs } from "../run/ours.ts";
import type { Plan } from "../run/plan.ts";
import { Planter } from "../run/planted.ts";
import type { Suite } from "../run/suite.ts";

const PREWARMED = 4;
const MEMORY_BYTES = 128 * 1024 * 1024;
/** Sandboxes beside those of the versions: blank ones and the one of the builds. */
const SPARE = PREWARMED + 8;
/** How often the pool is looked at, and for how long. */
const POLL_MS = 5;
const POOL_MS = 300_000;
const suite = "cold";
const COLD = "cold call over HTTP";
const COLD_EMPTY = "cold call over HTTP, pool empty";
const FLOORS = ["node -e 0", "node:http"];

/** Takes 500 ms of a processor to import, and `?holdMs=N` to answer. */
const SLOW = `
for (const endMs = Date.now() + 500; Date.now() < endMs; );
export default async (request) => {
  await new Promise((resolve) => setTimeout(resolve, Number(new URL(request.url).searchParams.get("holdMs"))));
  return new Response("Hello, world!\\n");
};
`;
/** Longer than the next call of the version may take to come by an instance of its own. */
const HOLD_MS = 1_500;
/** After this time a call has surely begun. */
const HELD_MS = 100;
const SLOW_FIRST = "500 ms import, first on the worker";
const SLOW_LATER = "500 ms import, initialised before";

export async function openColdSuite(plan: Plan, peers: Peers): Promise<Suite> {
  await using started = new AsyncDisposableStack();
  const sheet = new Sheet(suite);
  const load = await BenchChild.start("http-load.ts");
  started.defer(() => load.close());
  const [full, empty, slow] = await allOf([
    Cold.start(started, load, plan, PREWARMED),
    Cold.start(started, load, plan, 0),
    SlowImport.start(started, load, plan),
  ]);
  const servers = await openServers(peers, sheet, started);
  const samples = new Map<string, Samples>();
  const opened = started.move();
  const [quick, slowServers] = [servers.filter(isFloor), servers.filter((server) => !isFloor(server))];
  let rounds = 0;
  let counted = 0;
  return {
    async round(counts) {
      const round = rounds++;
      const add = (name: string, values: readonly number[]): void => {
        const of = samples.get(name) ?? new Samples();
        samples.set(name, of);
        if (counts) of.addRound(values);
      };
      const measured: Record<string, number[]> = {};
      const measure = (name: string, one: () => Promise<number>) => async () => {
        measured[name] = [...(measured[name] ?? []), await one()];
      };
      // One and one: the pool fills up while the floors are measured, and has done so before the
      // next call.
      for (let index = 0; index < plan.coldCallsPerRound; index++) {
        await inTurn(round + index, [
          measure(COLD, () => full.callNext()),
          measure(COLD_EMPTY, () => empty.callNext()),
          measure("node -e 0", nodeStartMs),
          ...quick.map(({ name, firstAnswersMs }) => measure(name, async () => (await firstAnswersMs())[0] as number)),
        ]);
      }
      const { firstMs, laterMs } = await slow.both();
      measured[SLOW_FIRST] = [firstMs];
      measured[SLOW_LATER] = [laterMs];
      const isTurn = counts && counted++ % plan.serverStartsEvery === 0;
      for (const { name, firstAnswersMs } of slowServers) measured[name] = isTurn ? await firstAnswersMs() : [];
      for (const [name, values] of Object.entries(measured)) add(name, values);
    },
    results() {
      sheet.cost(COLD, full.ledger).cost(COLD_EMPTY, empty.ledger);
      for (const [name, values] of samples) {
        const peer = isFloor({ name }) || servers.some((server) => server.name === name);
        const chart = name.startsWith("500 ms") ? "a version with an import of 500 ms" : "first answer";
        sheet.row(name, "ms", values, { chart, peer });
      }
      const of = (name: string) => samples.get(name) ?? new Samples();
      const [cold, coldEmpty] = [of(COLD), of(COLD_EMPTY)];
      for (const name of ["node -e 0", ...servers.map((server) => server.name)]) {
        sheet.ratio(`cold call / ${name}`, "ms", [cold, of(name)]);
        if (isFloor({ name })) sheet.ratio(`cold call, pool empty / ${name}`, "ms", [coldEmpty, of(name)]);
      }
      return sheet.results;
    },
    close: () => opened.disposeAsync(),
  };
}

type Started = AsyncDisposableStack;

/** Functions that were never called, and a pool that is as it should be before each is. */
class Cold {
  readonly #platform: Platform;
  readonly #load: BenchChild;
  readonly #planter: Planter;
  readonly #original: Version;
  readonly #prewarmed: number;
  readonly ledger: Ledger;
  #loaded = 0;

  private constructor(platform: Platform, load: BenchChild, original: Version, prewarmed: number) {
    this.#platform = platform;
    this.#load = load;
    this.#planter = new Planter(platform);
    this.#original = original;
    this.#prewarmed = prewarmed;
    this.ledger = new Ledger(accountsOf(platform, load));
  }

  static async start(started: Started, load: BenchChild, plan: Plan, prewarmed: number): Promise<Cold> {
    const calls = (plan.rounds + plan.warmupRounds) * plan.coldCallsPerRound;
    const platform = await startOurs(started, plan, { env: roomFor(calls, prewarmed) });
    await deployHello(platform);
    return new Cold(platform, load, await new Planter(platform).versionOf("hello"), prewarmed);
  }

  async callNext(): Promise<number> {
    const name = `cold-${this.#loaded}`;
    const target = await this.#planter.plantOwn(this.#original, { tenant: "main", name });
    await poolHolds(this.#platform, this.#loaded++ + this.#prewarmed);
    let ms = 0;
    await this.ledger.during(async () => {
      const { latenciesMs } = await this.#load.run({ target, inFlight: 1, calls: 1 });
      ms = latenciesMs[0] as number;
      return 1;
    });
    return ms;
  }
}

/**
 * Versions that take long to import: the first call of one, and another that finds its instance
 * busy.
 */
class SlowImport {
  readonly #load: BenchChild;
  readonly #planter: Planter;
  readonly #original: Version;
  #count = 0;

  private constructor(load: BenchChild, planter: Planter, original: Version) {
    this.#load = load;
    this.#planter = planter;
    this.#original = original;
  }

  /** A version has a template and two instances. */
  static async start(started: Started, load: BenchChild, plan: Plan): Promise<SlowImport> {
    const versions = plan.rounds + plan.warmupRounds;
    const platform = await startOurs(started, plan, { env: roomFor(versions * 3, PREWARMED) });
    await deployFiles(platform, "slow", SLOW);
    const planter = new Planter(platform);
    return new SlowImport(load, planter, await planter.versionOf("slow"));
  }

  async both(): Promise<{ firstMs: number; laterMs: number }> {
    const target = await this.#planter.plantOwn(this.#original, { tenant: "main", name: `slow-${this.#count++}` });
    const firstMs = await this.#callMs(target);
    // Its instance is busy with this call, so that the one after it gets another.
    const held = fetch(`${target}?holdMs=${HOLD_MS}`);
    await delay(HELD_MS);
    const laterMs = await this.#callMs(target);
    await (await held).text();
    return { firstMs, laterMs };
  }

  async #callMs(target: string): Promise<number> {
    return (await this.#load.run({ target, inFlight: 1, calls: 1 })).latenciesMs[0] as number;
  }
}

/** Room for every version at once, so that no call waits for another version's end. */
function roomFor(versions: number, prewarmed: number): Record<string, string> {
  const sandboxes = versions + SPARE;
  return {
    SANDPIPER_PREWARMED: String(prewarmed),
    SANDPIPER_MAX_SANDBOXES: String(sandboxes),
    SANDPIPER_MEMORY_BUDGET_BYTES: String(sandboxes * MEMORY_BYTES),
  };
}

/** Something that is started, asked, and ended. */
interface Starter {
  name: string;
  /** From its start to its first answer; nothing when it never gave one, which is noted. */
  firstAnswersMs(): Promise<number[]>;
}

async function openServers(peers: Peers, sheet: Sheet, started: Started): Promise<Starter[]> {
  const starters: Starter[] = [];
  for (const kind of [NODE_HTTP, HONO, DENO_SERVE, ...FUNCTION_SERVERS]) {
    try {
      const home = await ServerHome.open(kind, peers);
      started.defer(() => home.close());
      starters.push(starterOf(home, sheet));
    } catch (error) {
      sheet.missing(kind.name, (error as Error).message);
    }
  }
  return starters;
}

function starterOf(home: ServerHome, sheet: Sheet): Starter {
  let usable = true;
  return {
    name: home.name,
    async firstAnswersMs() {
      if (!usable) return [];
      try {
        const server = await home.start();
        await server.stop();
        return [server.firstAnswerMs];
      } catch (error) {
        // A floor that fails fails the run: there is nothing to compare with.
        if (isFloor(home)) throw error;
        usable = false;
        sheet.missing(home.name, (error as Error).message);
        return [];
      }
    },
  };
}

function isFloor({ name }: { name: string }): boolean {
  return FLOORS.includes(name);
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
