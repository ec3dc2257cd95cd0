/**
 * The kinds of handlers, which answer the same, beside plain Node: what it costs to be called with
 * a Request, with Node's request and response, or as a server over loopback.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { BenchChild } from "../measure/child.ts";
import { Contender } from "../measure/contender.ts";
import { type Entrant, levelOf, runLevels } from "../measure/levels.ts";
import { Sheet } from "../measure/sheet.ts";
import type { Peers } from "../peers/peers.ts";
import { ServerHome } from "../peers/server.ts";
import { NODE_HTTP } from "../peers/servers.ts";
import { deployFiles } from "../run/deployment.ts";
import { accountsOf, startOurs } from "../run/ours.ts";
import type { Plan } from "../run/plan.ts";
import type { Suite } from "../run/suite.ts";

const suite = "kinds";
const IN_FLIGHT = [1, 64] as const;

/** A module of each kind, by the name of the contender. */
const MODULES: Readonly<Record<string, string>> = {
  fetch: `import { HELLO } from "./payloads.mjs"; export default () => new Response(HELLO);`,
  "(req, res)": `import { HELLO } from "./payloads.mjs"; export default (req, res) => res.end(HELLO);`,
  server: `import { createServer } from "node:http"; import { HELLO } from "./payloads.mjs";
    createServer((req, res) => res.end(HELLO)).listen(process.env.PORT);`,
};

export async function openKindsSuite(plan: Plan, peers: Peers): Promise<Suite> {
  await using started = new AsyncDisposableStack();
  const load = await BenchChild.start("http-load.ts");
  started.defer(() => load.close());
  const platform = await startOurs(started, plan);
  const payloads = readFileSync(join(import.meta.dirname, "../apps/payloads.mjs"), "utf8");
  const entrants: Entrant[] = [];
  for (const [name, code] of Object.entries(MODULES)) {
    const files = { "index.ts": code, "payloads.mjs": payloads };
    const target = await deployFiles(platform, `kind-${entrants.length}`, files);
    entrants.push({ contender: new Contender(name, { load, accounts: accountsOf(platform, load) }), target });
  }
  const home = await ServerHome.open(NODE_HTTP, peers);
  started.defer(() => home.close());
  const server = await home.start();
  started.defer(() => server.stop());
  const processes = () => ({ server: server.pids(), "load generator": [load.pid] });
  const plain = new Contender(NODE_HTTP.name, { load, accounts: { redis: null, processes } });
  entrants.push({ contender: plain, target: server.url });
  const opened = started.move();
  let rounds = 0;
  return {
    async round(counts) {
      await runLevels(entrants, IN_FLIGHT, { round: rounds++, counts, plan });
    },
    results: () => write(entrants),
    close: () => opened.disposeAsync(),
  };
}

function write(entrants: readonly Entrant[]) {
  const sheet = new Sheet(suite);
  for (const level of IN_FLIGHT.map(levelOf)) {
    const [first] = entrants;
    for (const { contender } of entrants) {
      const { latency, rate, ledger } = contender.at(level);
      const name = `${contender.name}, ${level}`;
      const style = { chart: `kinds, ${level}`, label: contender.name, peer: contender.name === NODE_HTTP.name };
      sheet.row(name, "ms", latency, style).row(name, "per s", rate, style).cost(name, ledger);
      if (first === undefined || contender === first.contender || style.peer) continue;
      const floor = first.contender.at(level);
      sheet.ratio(`latency, ${contender.name} / fetch, ${level}`, "ms", [latency, floor.latency]);
      sheet.ratio(`throughput, ${contender.name} / fetch, ${level}`, "per s", [rate, floor.rate]);
    }
  }
  return sheet.results;
}
