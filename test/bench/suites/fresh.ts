/**
 * Calls that each run in a process of their own which is thrown away, against warm calls and a new
 * Node for each call.
 */
import { BenchChild } from "../measure/child.ts";
import { Contender } from "../measure/contender.ts";
import { levelOf, runLevels } from "../measure/levels.ts";
import { Sheet } from "../measure/sheet.ts";
import { differenceOf } from "../measure/stats.ts";
import type { Peers } from "../peers/peers.ts";
import { ServerHome } from "../peers/server.ts";
import { SPAWNING } from "../peers/servers.ts";
import { deployFiles, deployHello, readHello } from "../run/deployment.ts";
import { accountsOf, startOurs } from "../run/ours.ts";
import type { Plan } from "../run/plan.ts";
import type { Suite } from "../run/suite.ts";

const suite = "fresh";
const FRESH = "fresh";
const WARM = "warm";
const IN_FLIGHT = [1, 16] as const;

export async function openFreshSuite(plan: Plan, peers: Peers): Promise<Suite> {
  await using started = new AsyncDisposableStack();
  const sheet = new Sheet(suite);
  const load = await BenchChild.start("http-load.ts");
  started.defer(() => load.close());
  const platform = await startOurs(started, plan);
  const accounts = accountsOf(platform, load);
  const entrants = [{ contender: new Contender(WARM, { load, accounts }), target: await deployHello(platform) }];
  try {
    const target = await deployFiles(platform, "hello-fresh", readHello(), { isolation: "invocation" });
    entrants.push({ contender: new Contender(FRESH, { load, accounts }), target });
  } catch (error) {
    if (!(error as Error).message.includes("INVALID_CONFIG")) throw error;
    sheet.missing(FRESH, "this version knows no isolation per invocation");
  }
  const home = await ServerHome.open(SPAWNING, peers);
  started.defer(() => home.close());
  const server = await home.start();
  started.defer(() => server.stop());
  const processes = () => ({ "server and processes": server.pids(), "load generator": [load.pid] });
  entrants.push({
    contender: new Contender(SPAWNING.name, { load, accounts: { redis: null, processes } }),
    target: server.url,
  });
  const opened = started.move();
  let rounds = 0;
  return {
    async round(counts) {
      const round = rounds++;
      await runLevels(entrants, IN_FLIGHT, { round, counts, plan });
    },
    results() {
      for (const inFlight of IN_FLIGHT) {
        const level = levelOf(inFlight);
        const of = (name: string) => entrants.find(({ contender }) => contender.name === name)?.contender.at(level);
        for (const { contender } of entrants) {
          const { latency, rate, ledger } = contender.at(level);
          const name = `${contender.name}, ${level}`;
          const style = { chart: level, label: contender.name, peer: contender.name === SPAWNING.name };
          sheet.row(name, "ms", latency, style).row(name, "per s", rate, style).cost(name, ledger);
        }
        const [fresh, warm, spawned] = [of(FRESH), of(WARM), of(SPAWNING.name)];
        if (fresh === undefined || warm === undefined || spawned === undefined) continue;
        sheet
          .row(`fresh over warm, ${level}`, "ms", differenceOf(fresh.latency, warm.latency), { chart: "difference" })
          .ratio(`latency, fresh / warm, ${level}`, "ms", [fresh.latency, warm.latency])
          .ratio(`throughput, fresh / ${SPAWNING.name}, ${level}`, "per s", [fresh.rate, spawned.rate]);
      }
      return sheet.results;
    },
    close: () => opened.disposeAsync(),
  };
}
