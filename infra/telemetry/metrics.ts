/**
 * Figures of a process for Prometheus. Counting is in memory; what must be asked for (Redis,
 * control groups, the process itself) is asked for when somebody scrapes.
 */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Counted, SeriesCounter } from "./series.ts";

export { Counter, Gauge, Histogram, Registry };

/** Labels of a function. */
export type FunctionLabels = { tenant: string; function: string };

/** Bounds of histograms of times: a call takes from half a millisecond to minutes. */
export const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
export const MEBIBYTES = [16, 32, 64, 96, 128, 192, 256, 384, 512, 1_024, 2_048];

const OTHERS: FunctionLabels = { tenant: "other", function: "other" };

/** How long a function is called by nobody before its series make way for those of others. */
const IDLE_MS = 3_600_000;
/** How often is looked for such functions, at most. */
const IDLE_LOOK_MS = 60_000;

/** Everything that is counted of one function. */
export interface SeriesOfFunction {
  /** Takes its series out of the figures. */
  remove(): void;
}

interface Kept<Series> {
  series: Series;
  tenant: string;
  /** By `performance.now()`. */
  usedAtMs: number;
}

/**
 * The series of each function, for so many of them; the others share those of `other`. Tenants make
 * functions, so that their number must not be Prometheus's. When there are as many as there may be,
 * a function that nobody has called for an hour makes way, and one of the tenant that has most does
 * for a tenant that has fewer: none can keep the others out of the figures.
 */
export class SeriesByFunction<Series extends SeriesOfFunction> {
  readonly #most: number;
  readonly #make: (labels: FunctionLabels) => Series;
  readonly #kept = new Map<string, Kept<Series>>();
  /** How many functions of each tenant have series. */
  readonly #counts = new Map<string, number>();
  #others: Series | undefined;
  #idleLookAtMs = Number.NEGATIVE_INFINITY;

  constructor(most: number, make: (labels: FunctionLabels) => Series) {
    this.#most = most;
    this.#make = make;
  }

  of({ tenant, functionName }: { tenant: string; functionName: string }): Series {
    const key = `${tenant}/${functionName}`;
    const nowMs = performance.now();
    const kept = this.#kept.get(key);
    if (kept !== undefined) {
      kept.usedAtMs = nowMs;
      return kept.series;
    }
    if (this.#kept.size >= this.#most && !this.#makeRoom(tenant, nowMs)) {
      this.#others ??= this.#make(OTHERS);
      return this.#others;
    }
    const series = this.#make({ tenant, function: functionName });
    this.#kept.set(key, { series, tenant, usedAtMs: nowMs });
    this.#count(tenant, 1);
    return series;
  }

  /** Whether there is room for one more function of that tenant. */
  #makeRoom(tenant: string, nowMs: number): boolean {
    if (nowMs >= this.#idleLookAtMs) {
      this.#idleLookAtMs = nowMs + IDLE_LOOK_MS;
      for (const [key, { usedAtMs }] of this.#kept) if (nowMs - usedAtMs >= IDLE_MS) this.#drop(key);
      if (this.#kept.size < this.#most) return true;
    }
    const [richest, most] = [...this.#counts].reduce((one, other) => (other[1] > one[1] ? other : one), ["", 0]);
    if (most <= (this.#counts.get(tenant) ?? 0) + 1) return false;
    const [longest] = [...this.#kept]
      .filter(([, kept]) => kept.tenant === richest)
      .reduce((one, other) => (other[1].usedAtMs < one[1].usedAtMs ? other : one));
    this.#drop(longest);
    return true;
  }

  #drop(key: string): void {
    const { series, tenant } = this.#kept.get(key) as Kept<Series>;
    series.remove();
    this.#kept.delete(key);
    this.#count(tenant, -1);
  }

  #count(tenant: string, by: number): void {
    const count = (this.#counts.get(tenant) ?? 0) + by;
    if (count === 0) this.#counts.delete(tenant);
    else this.#counts.set(tenant, count);
  }
}

/** A counter of one function, or of what has other labels in its place, with further labels. */
export class FunctionCounter {
  readonly #counter: SeriesCounter;
  readonly #labels: Record<string, string>;
  readonly #more: readonly string[];
  readonly #series = new Map<string, Counted>();

  /** @param more names of the further labels. */
  constructor(counter: SeriesCounter, labels: Record<string, string>, more: readonly string[]) {
    this.#counter = counter;
    this.#labels = labels;
    this.#more = more;
  }

  /** Counts one. @param values of the further labels, out of closed sets */
  inc(...values: string[]): void {
    this.add(1, ...values);
  }

  /** Counts so many. @param values as of `inc` */
  add(count: number, ...values: string[]): void {
    const key = values.join();
    let series = this.#series.get(key);
    if (series === undefined) {
      const more = Object.fromEntries(this.#more.map((name, at) => [name, values[at] ?? ""]));
      series = this.#counter.series({ ...this.#labels, ...more });
      this.#series.set(key, series);
    }
    series.inc(count);
  }

  remove(): void {
    for (const series of this.#series.values()) series.remove();
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
