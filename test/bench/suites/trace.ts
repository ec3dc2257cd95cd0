/**
 * What tracing costs: off, a hundredth of the calls sampled, all of them; the spans go to a
 * collector that drops them.
 */
import { allOf } from "../measure/blocks.ts";
import { BenchChild } from "../measure/child.ts";
import { Contender } from "../measure/contender.ts";
import { levelOf, runLevels } from "../measure/levels.ts";
import { Sheet } from "../measure/sheet.ts";
import { deployHello } from "../run/deployment.ts";
import { accountsOf, startOurs } from "../run/ours.ts";
import type { Plan } from "../run/plan.ts";
import type { Suite } from "../run/suite.ts";

const suite = "trace";
const IN_FLIGHT = [1, 64] as const;
const OFF = "off";

/** The variables of docs/CONFIGURATION.md, by the name of the contender. */
const SETTINGS: readonly [name: string, environment: (collector: string) => Record<string, string>][] = [
  [OFF, () => ({})],
  [
    "1 % sampled",
    (collector) => ({
      OTEL_EXPORTER_OTLP_ENDPOINT: collector,
      OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
      OTEL_TRACES_SAMPLER_ARG: "0.01",
    }),
  ],
  ["all sampled", (collector) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: collector })],
];

export async function openTraceSuite(plan: Plan): Promise<Suite> {
  await using started = new AsyncDisposableStack();
  const load = await BenchChild.start("http-load.ts");
  started.defer(() => load.close());
  const collector = await BenchChild.start("trace-sink.ts");
  started.defer(() => collector.close());
  const { url } = collector.facts as { url: string };
  const entrants = await allOf(
    SETTINGS.map(async ([name, environment]) => {
      const platform = await startOurs(started, plan, { env: environment(url) });
      const target = await deployHello(platform);
      const ours = accountsOf(platform, load);
      const accounts = { ...ours, processes: () => ({ ...ours.processes(), collector: [collector.pid] }) };
      return { contender: new Contender(name, { load, accounts }), target };
    }),
  );
  const opened = started.move();
  let rounds = 0;
  return {
    async round(counts) {
      const round = rounds++;
      await runLevels(entrants, IN_FLIGHT, { round, counts, plan });
    },
    results() {
      const sheet = new Sheet(suite);
      for (const level of IN_FLIGHT.map(levelOf)) {
        const floor = entrants.find(({ contender }) => contender.name === OFF)?.contender.at(level);
        for (const { contender } of entrants) {
          const { latency, rate, ledger } = contender.at(level);
          const name = `tracing ${contender.name}, ${level}`;
          const style = { chart: `tracing, ${level}`, label: contender.name };
          sheet.row(name, "ms", latency, style).row(name, "per s", rate, style).cost(name, ledger);
          if (floor === undefined || contender.name === OFF) continue;
          sheet
            .ratio(`latency, ${contender.name} / ${OFF}, ${level}`, "ms", [latency, floor.latency])
            .ratio(`throughput, ${contender.name} / ${OFF}, ${level}`, "per s", [rate, floor.rate]);
        }
      }
      return sheet.results;
    },
    close: () => opened.disposeAsync(),
  };
}
