/**
 * Figures of a process for Prometheus. Counting is in memory; what must be
 * asked for (Redis, control groups, the process itself) is asked for when somebody scrapes.
 */
import { Counter, Gauge, Histogram, Registry } from "prom-client";

export { Counter, Gauge, Histogram, Registry };

/** Labels of a function. */
export type FunctionLabels = { tenant: string; function: string };

/** Bounds of histograms of times: a call takes from half a millisecond to minutes. */
export const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
export const MEBIBYTES = [16, 32, 64, 96, 128, 192, 256, 384, 512, 1_024, 2_048];

const OTHERS: FunctionLabels = { tenant: "other", function: "other" };

/**
 * The series of each function, for so many of them, first come, first served; the others share
 * those of `other`. Tenants make functions, so that their number must not be Prometheus's.
 */
export class SeriesByFunction<Series> {
  readonly #most: number;
  readonly #make: (labels: FunctionLabels) => Series;
  readonly #series = new Map<string, Series>();
  #others: Series | undefined;

  constructor(most: number, make: (labels: FunctionLabels) => Series) {
    this.#most = most;
    this.#make = make;
  }

  of({ tenant, functionName }: { tenant: string; functionName: string }): Series {
    const key = `${tenant}/${functionName}`;
    let series = this.#series.get(key);
    if (series !== undefined) return series;
    if (this.#series.size >= this.#most) {
      this.#others ??= this.#make(OTHERS);
      return this.#others;
    }
    series = this.#make({ tenant, function: functionName });
    this.#series.set(key, series);
    return series;
  }
}

/** A gauge whose value is asked for at each scrape; one that cannot be told then is left out. */
export function askedGauge(
  registry: Registry,
  { name, help, labelNames = [] }: { name: string; help: string; labelNames?: string[] },
  ask: (gauge: Gauge) => void | Promise<void>,
): void {
  new Gauge({
    name,
    help,
    labelNames,
    registers: [registry],
    async collect() {
      this.reset();
      await ask(this);
    },
  });
}

/** A registry with the figures that every process has, under the names of Prometheus's clients. */
export function processRegistry(): Registry {
  const registry = new Registry();
  const cpu = new Counter({
    name: "process_cpu_seconds_total",
    help: "Processor time of this process.",
    registers: [registry],
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1e6);
    },
  });
  cpu.inc(0);
  const gauges: [name: string, help: string, read: () => number][] = [
    ["process_start_time_seconds", "Unix time at which this process started.", () => performance.timeOrigin / 1_000],
    ["process_resident_memory_bytes", "Resident memory.", () => process.memoryUsage.rss()],
    ["nodejs_heap_size_used_bytes", "Used heap of V8.", () => process.memoryUsage().heapUsed],
    ["nodejs_external_memory_bytes", "Memory outside of the heap.", () => process.memoryUsage().external],
  ];
  for (const [name, help, read] of gauges) askedGauge(registry, { name, help }, (gauge) => gauge.set(read()));
  let last = performance.eventLoopUtilization();
  const busy = {
    name: "nodejs_eventloop_utilization",
    help: "Share of time since the last scrape that the loop was busy.",
  };
  askedGauge(registry, busy, (gauge) => {
    const now = performance.eventLoopUtilization();
    gauge.set(performance.eventLoopUtilization(now, last).utilization);
    last = now;
  });
  return registry;
}
