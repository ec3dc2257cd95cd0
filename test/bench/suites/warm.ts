/**
 * Warm calls over HTTP at several numbers in flight and of several sizes, against bare BullMQ, bare
 * hono, and other platforms.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { startRedis, type TestRedis } from "../../helpers/redis.ts";
import { BINARY, ITEMS } from "../apps/payloads.mjs";
import { inTurn } from "../measure/blocks.ts";
import { BenchChild, type BlockLength } from "../measure/child.ts";
import { Contender } from "../measure/contender.ts";
import { Sheet } from "../measure/sheet.ts";
import type { Peers } from "../peers/peers.ts";
import { ServerHome } from "../peers/server.ts";
import { FUNCTION_SERVERS, HONO, type ServerKind } from "../peers/servers.ts";
import { deployFiles, deployHello } from "../run/deployment.ts";
import { accountsOf, startOurs } from "../run/ours.ts";
import type { Plan } from "../run/plan.ts";
import type { Results, Suite } from "../run/suite.ts";

const suite = "warm";
const BULLMQ = "bare BullMQ";
/** Where peers are compared. */
const COMPARED = 64;

/** What is answered, by the path that answers it. */
const PAYLOADS = [
  { name: "hello", path: "" },
  { name: "100 KB JSON", path: "json" },
  { name: "1 MB binary", path: "binary" },
] as const;
type Payload = (typeof PAYLOADS)[number];
const [HELLO] = PAYLOADS;

/** A contender, and how each payload is asked of it. */
interface Entrant {
  contender: Contender;
  targets: Record<Payload["name"], string>;
  kind: "ours" | "floor" | "peer";
}

export async function openWarmSuite(plan: Plan, peers: Peers): Promise<Suite> {
  await using started = new AsyncDisposableStack();
  const sheet = new Sheet(suite);
  const load = await BenchChild.start("http-load.ts");
  started.defer(() => load.close());
  const entrants = [
    await openSandpiper(started, load, plan),
    await openBullmq(started, Math.max(...plan.inFlight)),
    await openServer(started, load, HONO, peers, "floor"),
  ];
  for (const kind of FUNCTION_SERVERS) {
    try {
      entrants.push(await openServer(started, load, kind, peers, "peer"));
    } catch (error) {
      sheet.missing(kind.name, (error as Error).message);
    }
  }
  const levels = PAYLOADS.flatMap((payload) => plan.inFlight.map((inFlight) => ({ payload, inFlight })));
  const opened = started.move();
  let rounds = 0;
  return {
    async round(counts) {
      const round = rounds++;
      for (const { payload, inFlight } of levels) {
        const length = lengthOf(payload, inFlight, counts, plan);
        const blocks = entrants.map(({ contender, targets, kind }) => () => {
          const request = { target: targets[payload.name], inFlight, ...length };
          const level = levelOf(payload, inFlight);
          return kind === "peer" ? contender.tryBlock(level, request, counts) : contender.block(level, request, counts);
        });
        await inTurn(round, blocks);
      }
    },
    results: () => write(sheet, entrants, levels),
    close: () => opened.disposeAsync(),
  };
}

type Started = AsyncDisposableStack;

async function openSandpiper(started: Started, load: BenchChild, plan: Plan): Promise<Entrant> {
  const platform = await startOurs(started, plan);
  const app = (name: string) => readFileSync(join(import.meta.dirname, "../apps", name), "utf8");
  const payloads = { "index.ts": app("fetch.mjs"), "payloads.mjs": app("payloads.mjs") };
  const url = (await deployFiles(platform, "payloads", payloads)).replace(/\/$/, "");
  const targets = {
    hello: await deployHello(platform),
    "100 KB JSON": `${url}/json`,
    "1 MB binary": `${url}/binary`,
  };
  await expectPayloads(targets);
  const contender = new Contender("Sandpiper", { load, accounts: accountsOf(platform, load) });
  return { contender, targets, kind: "ours" };
}

async function openBullmq(started: Started, concurrency: number): Promise<Entrant> {
  const redis: TestRedis = await startRedis();
  started.defer(() => redis.stop());
  const socket = new URL(redis.url).pathname;
  const worker = await BenchChild.start("bullmq-floor.ts", "worker", socket, String(concurrency));
  started.defer(() => worker.close());
  const producer = await BenchChild.start("bullmq-floor.ts", "producer", socket);
  started.defer(() => producer.close());
  const accounts = {
    redis: redis.connect(),
    processes: () => ({ producer: [producer.pid], worker: [worker.pid], redis: [redis.pid] }),
  };
  return {
    contender: new Contender(BULLMQ, { load: producer, accounts }),
    targets: { hello: "hello", "100 KB JSON": "json", "1 MB binary": "binary" },
    kind: "floor",
  };
}

async function openServer(
  started: Started,
  load: BenchChild,
  kind: ServerKind,
  peers: Peers,
  as: Entrant["kind"],
): Promise<Entrant> {
  const home = await ServerHome.open(kind, peers);
  started.defer(() => home.close());
  const server = await home.start();
  started.defer(() => server.stop());
  const processes = () => ({ server: server.pids(), "load generator": [load.pid] });
  const [hello, json, binary] = PAYLOADS.map(({ path }) => server.url + path) as [string, string, string];
  const targets = { hello, "100 KB JSON": json, "1 MB binary": binary };
  await expectPayloads(targets);
  const contender = new Contender(kind.name, { load, accounts: { redis: null, processes } });
  return { contender, targets, kind: as };
}

/**
 * The load generator looks at a status alone. @throws Error when a target answers something else
 * than its payload
 */
async function expectPayloads(targets: Entrant["targets"]): Promise<void> {
  const lengths = { "100 KB JSON": JSON.stringify(ITEMS).length, "1 MB binary": BINARY.length };
  for (const [payload, length] of Object.entries(lengths)) {
    const answer = await fetch(targets[payload as Payload["name"]]);
    const { byteLength } = await answer.arrayBuffer();
    if (byteLength !== length) throw new Error(`${payload} of ${length} bytes is answered with ${byteLength}`);
  }
}

/** Compilers become warm at one of the levels. */
function lengthOf(payload: Payload, inFlight: number, counts: boolean, plan: Plan): BlockLength {
  if (payload !== HELLO) return { durationMs: plan.payloadBlockMs };
  return counts || inFlight !== COMPARED ? { durationMs: plan.warmBlockMs } : plan.warmUp;
}

function levelOf(payload: Payload, inFlight: number): string {
  return payload === HELLO ? `${inFlight} in flight` : `${payload.name}, ${inFlight} in flight`;
}

function write(sheet: Sheet, entrants: readonly Entrant[], levels: { payload: Payload; inFlight: number }[]): Results {
  for (const { payload, inFlight } of levels) {
    const level = levelOf(payload, inFlight);
    for (const { contender, kind } of entrants) {
      const { latency, rate, ledger } = contender.at(level);
      const name = kind !== "ours" ? `${contender.name}, ${level}` : payload === HELLO ? `hello, ${level}` : level;
      const style = { chart: `${payload.name}, ${inFlight} in flight`, label: contender.name, peer: kind !== "ours" };
      sheet.row(name, "ms", latency, style).row(name, "per s", rate, style).cost(name, ledger);
    }
    compare(sheet, entrants, level, payload === HELLO, inFlight);
  }
  for (const { contender } of entrants) {
    for (const [level, reason] of contender.failures) sheet.missing(`${contender.name}, ${level}`, reason);
  }
  return sheet.results;
}

/** Floors at every level, peers at one. */
function compare(sheet: Sheet, entrants: readonly Entrant[], level: string, isHello: boolean, inFlight: number): void {
  const [ours, ...others] = entrants.map(({ contender, kind }) => ({
    name: contender.name,
    kind,
    ...contender.at(level),
  }));
  if (ours === undefined) return;
  for (const { name, kind, latency, rate } of others) {
    const everywhere = kind === "floor" && isHello;
    if (everywhere && name === BULLMQ) sheet.ratio(`latency / ${name}, ${level}`, "ms", [ours.latency, latency]);
    if (everywhere || inFlight === COMPARED) {
      sheet.ratio(`throughput / ${name}, ${level}`, "per s", [ours.rate, rate]);
    }
    if (inFlight === COMPARED && isHello) sheet.ratio(`p99 / ${name}, ${level}`, "ms", [ours.latency, latency], 0.99);
  }
}
