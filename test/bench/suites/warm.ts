/** Warm calls: hello over HTTP at several numbers in flight, against bare BullMQ and a bare hono server. */
import { Platform } from "../../helpers/platform.ts";
import { startRedis, type TestRedis } from "../../helpers/redis.ts";
import { inTurn } from "../blocks.ts";
import { BenchChild, type BlockRequest } from "../child.ts";
import { deployHello } from "../deployment.ts";
import { type Accounts, Ledger } from "../ledger.ts";
import type { Plan } from "../plan.ts";
import { descendantsOf } from "../processes.ts";
import { ratioOf, Samples } from "../stats.ts";
import { judged, type Ratio, type Results, type Suite } from "../suite.ts";

const IN_FLIGHT = [1, 16, 64] as const;
/** What `npm start` has unless told otherwise; the tests' platform is smaller. */
const DEFAULTS = { SANDPIPER_PREWARMED: "4", SANDPIPER_MAX_SANDBOXES: "128" };
const suite = "warm";

/** Something that answers calls. */
class Contender {
  readonly name: string;
  readonly #load: BenchChild;
  readonly #target: string;
  readonly #accounts: Accounts;
  readonly #levels = new Map<number, { latency: Samples; rate: Samples; ledger: Ledger }>();

  constructor(name: string, load: BenchChild, target: string, accounts: Accounts) {
    this.name = name;
    this.#load = load;
    this.#target = target;
    this.#accounts = accounts;
  }

  at(inFlight: number): { latency: Samples; rate: Samples; ledger: Ledger } {
    let level = this.#levels.get(inFlight);
    if (level === undefined) {
      level = { latency: new Samples(), rate: new Samples(), ledger: new Ledger(this.#accounts) };
      this.#levels.set(inFlight, level);
    }
    return level;
  }

  async block(inFlight: number, durationMs: number, counts: boolean): Promise<void> {
    const request: BlockRequest = { target: this.#target, inFlight, durationMs };
    if (!counts) return void (await this.#load.run(request));
    const { latency, rate, ledger } = this.at(inFlight);
    await ledger.during(async () => {
      const { latenciesMs, elapsedMs } = await this.#load.run(request);
      latency.addRound(latenciesMs);
      rate.addRound([(latenciesMs.length / elapsedMs) * 1_000]);
      return latenciesMs.length;
    });
  }
}

export async function openWarmSuite(plan: Plan): Promise<Suite> {
  await using started = new AsyncDisposableStack();
  const load = await BenchChild.start("http-load.ts");
  started.defer(() => load.close());
  const sandpiper = await openSandpiper(started, load);
  const bullmq = await openBullmq(started);
  const hono = await openHono(started, load);
  const contenders = [sandpiper, bullmq, hono];
  const opened = started.move();
  let rounds = 0;
  return {
    async round(counts) {
      const round = rounds++;
      for (const inFlight of IN_FLIGHT) {
        const blocks = contenders.map((one) => () => one.block(inFlight, plan.warmBlockMs, counts));
        await inTurn(round, blocks);
      }
    },
    results: () => ({
      rows: rowsOf(contenders),
      ratios: ratiosOf(sandpiper, bullmq, hono),
      costs: costsOf(contenders),
    }),
    close: () => opened.disposeAsync(),
  };
}

async function openSandpiper(started: AsyncDisposableStack, load: BenchChild): Promise<Contender> {
  const platform = await Platform.start({ env: DEFAULTS });
  started.defer(() => platform.stop());
  const url = await deployHello(platform, "hello");
  const [worker] = platform.workers;
  if (worker?.pid === undefined) throw new Error("there is no worker");
  const workerPid = worker.pid;
  return new Contender("hello", load, url, {
    redis: platform.redis.connect(),
    processes: () => ({
      gateway: [platform.gatewayPid],
      worker: [workerPid],
      "zygote and sandboxes": platform.zygotes(worker).flatMap((pid) => [pid, ...descendantsOf(pid)]),
      redis: [platform.redis.pid],
      "load generator": [load.pid],
    }),
  });
}

async function openBullmq(started: AsyncDisposableStack): Promise<Contender> {
  const redis: TestRedis = await startRedis();
  started.defer(() => redis.stop());
  const socket = redis.url.replace("unix://", "");
  const worker = await BenchChild.start("bullmq-floor.ts", "worker", socket);
  started.defer(() => worker.close());
  const producer = await BenchChild.start("bullmq-floor.ts", "producer", socket);
  started.defer(() => producer.close());
  return new Contender("bare BullMQ", producer, "", {
    redis: redis.connect(),
    processes: () => ({ producer: [producer.pid], worker: [worker.pid], redis: [redis.pid] }),
  });
}

async function openHono(started: AsyncDisposableStack, load: BenchChild): Promise<Contender> {
  const server = await BenchChild.start("hono-floor.ts");
  started.defer(() => server.close());
  const { url } = server.facts as { url: string };
  return new Contender("bare hono", load, url, {
    redis: null,
    processes: () => ({ server: [server.pid], "load generator": [load.pid] }),
  });
}

function rowsOf(contenders: readonly Contender[]): Results["rows"] {
  return IN_FLIGHT.flatMap((inFlight) =>
    contenders.flatMap((one) => [
      { suite, name: `${one.name}, ${inFlight} in flight`, unit: "ms" as const, ...one.at(inFlight).latency.summary() },
      { suite, name: `${one.name}, ${inFlight} in flight`, unit: "per s" as const, ...one.at(inFlight).rate.summary() },
    ]),
  );
}

function costsOf(contenders: readonly Contender[]): Results["costs"] {
  return IN_FLIGHT.flatMap((inFlight) =>
    contenders.map((one) => ({
      suite,
      name: `${one.name}, ${inFlight} in flight`,
      ...one.at(inFlight).ledger.costs(),
    })),
  );
}

function ratiosOf(sandpiper: Contender, bullmq: Contender, hono: Contender): Ratio[] {
  return IN_FLIGHT.flatMap((inFlight) => {
    const [ours, queue, http] = [sandpiper, bullmq, hono].map((one) => one.at(inFlight)) as [Level, Level, Level];
    return [
      judged({
        suite,
        name: `latency / bare BullMQ, ${inFlight} in flight`,
        ...ratioOf(ours.latency, queue.latency),
        target: inFlight === 1 ? { bound: "at most", value: 2 } : null,
      }),
      judged({
        suite,
        name: `throughput / bare BullMQ, ${inFlight} in flight`,
        ...ratioOf(ours.rate, queue.rate),
        target: inFlight === 64 ? { bound: "at least", value: 1.2 } : null,
      }),
      judged({
        suite,
        name: `throughput / bare hono, ${inFlight} in flight`,
        ...ratioOf(ours.rate, http.rate),
        target: null,
      }),
    ];
  });
}

type Level = ReturnType<Contender["at"]>;
