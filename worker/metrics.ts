/**
 * Figures of a worker. Those of functions have the names of OpenTelemetry's conventions for FaaS,
 * as Prometheus writes them: faas.invoke_duration is faas_invoke_duration_seconds.
 */
import type { InvocationRecord } from "../functions/model/invocation.ts";
import { MIB } from "../infra/std/bytes.ts";
import {
  askedGauge,
  Counter,
  FunctionCounter,
  type FunctionLabels,
  Histogram,
  MEBIBYTES,
  processRegistry,
  SECONDS,
  SeriesByFunction,
} from "../infra/telemetry/metrics.ts";
import { SeriesCounter, SeriesHistogram } from "../infra/telemetry/series.ts";
import type { EgressEvent, SandboxExit, ZygoteEnd } from "../sandbox-core/index.ts";
import type { PoolSnapshot } from "./pool/options.ts";

const OF_FUNCTION = ["tenant", "function"];
/** The host of connections that were refused, whatever name they wanted. */
const REFUSED_HOST = "refused";

/** Facts that a worker tells at a scrape. */
export interface WorkerFigures {
  running: number;
  room: number;
  posture: { launcher: string; fallback?: string };
  pool: PoolSnapshot;
  zygotes: number;
  limits: { maxSandboxes: number; memoryBudgetBytes: number };
  /** Memory of all sandboxes now, read from their control groups. */
  sandboxMemoryBytes(): number;
}

export class WorkerMetrics {
  readonly registry = processRegistry();
  readonly #series: SeriesByFunction<ReturnType<WorkerMetrics["seriesOf"]>>;
  readonly #registers = { registers: [this.registry] };
  readonly #invoke = this.#seconds("faas_invoke_duration_seconds", "Time of a function's handler.");
  readonly #init = this.#seconds("faas_init_duration_seconds", "Time to get an instance, of calls that found none.");
  readonly #cpu = this.#seconds("faas_cpu_usage_seconds", "Processor time of a call.");
  readonly #memory = new SeriesHistogram({
    ...{ name: "faas_mem_usage_bytes", help: "Most memory of a call's sandbox." },
    ...{ buckets: MEBIBYTES.map((mebibytes) => mebibytes * MIB), registry: this.registry },
  });
  readonly #invocations = this.#counter("faas_invocations_total", "Calls, by outcome.", "outcome");
  readonly #coldStarts = this.#counter("faas_coldstarts_total", "Calls that found no instance, by its start.", "start");
  readonly #errors = this.#counter("faas_errors_total", "Calls that failed, by code.", "code");
  readonly #timeouts = this.#counter("faas_timeouts_total", "Calls that took too long.");
  readonly #egress: SeriesByFunction<ReturnType<WorkerMetrics["egressSeriesOf"]>>;
  readonly #connections = this.#ofHost("sandpiper_egress_connections_total", "Outgoing connections.", "verdict");
  readonly #bytes = this.#ofHost("sandpiper_egress_bytes_total", "Bytes of outgoing connections.", "direction");
  readonly #egressFailures = this.#plainCounter(
    "sandpiper_egress_relay_failures_total",
    "Ends of the relay or the injector, and starts that failed.",
  );
  readonly #queueWait = this.#seconds("sandpiper_queue_wait_seconds", "Time of calls in the queue.").series();
  readonly #launches = new Histogram({
    ...{ name: "sandpiper_launch_duration_seconds", help: "Time of starts, by phase.", labelNames: ["phase"] },
    ...{ buckets: SECONDS, ...this.#registers },
  });
  readonly #zygoteStarts = this.#plainCounter("sandpiper_zygote_starts_total", "Zygotes that serve, or served.");
  readonly #zygoteEnds = this.#plainCounter("sandpiper_zygote_ends_total", "Zygotes that ended, by cause.", "cause");
  readonly #sandboxEnds = this.#plainCounter(
    "sandpiper_sandbox_ends_total",
    "Sandboxes that ended, by cause.",
    "cause",
  );

  /** @param maxFunctions how many functions have series of their own. */
  constructor(maxFunctions: number) {
    this.#series = new SeriesByFunction(maxFunctions, (labels) => this.seriesOf(labels));
    this.#egress = new SeriesByFunction(maxFunctions, (labels) => this.egressSeriesOf(labels));
    for (const cause of ["died", "retired"]) this.#zygoteEnds.inc({ cause }, 0);
  }

  /** Counts a call that has ended. */
  onRecord(record: InvocationRecord): void {
    const { outcome, error, start, timing, ran } = record;
    const series = this.#series.of(record);
    series.invocations.inc(outcome);
    if (error !== undefined) series.errors.inc(error.code);
    if (outcome === "timeout") series.timeouts.inc();
    this.#queueWait.observe(timing.queueMs / 1_000);
    if (ran !== "yes") return;
    series.invoke.observe(timing.handlerMs / 1_000);
    series.cpu.observe(record.cpuMs / 1_000);
    series.memory.observe(record.peakMemoryBytes);
    if (start === undefined || start === "warm") return;
    series.coldStarts.inc(start);
    series.init.observe((timing.sandboxMs + timing.initMs) / 1_000);
    const phase = start === "forked" ? "fork" : "load";
    this.#launches.observe({ phase }, (start === "forked" ? timing.sandboxMs : timing.initMs) / 1_000);
  }

  /** Counts an outgoing connection that ended, or was refused. */
  onEgress(tenant: string, { kind, name, address, verdict, bytesUp, bytesDown }: EgressEvent): void {
    if (kind === "opened" || kind === "kept") return;
    // Names that are refused are of the function's making, and may be any number.
    const host = kind === "refused" ? REFUSED_HOST : (name ?? address ?? REFUSED_HOST);
    const series = this.#egress.of({ tenant, functionName: host });
    series.connections.inc(verdict);
    if (bytesUp > 0) series.bytes.add(bytesUp, "up");
    if (bytesDown > 0) series.bytes.add(bytesDown, "down");
  }

  /** Counts an end of the relay or the injector, or a start that failed. */
  onEgressFailure(): void {
    this.#egressFailures.inc();
  }

  /** Counts a sandbox that was made. */
  onLaunched(tookMs: number): void {
    this.#launches.observe({ phase: "sandbox" }, tookMs / 1_000);
  }

  onZygoteStart(): void {
    this.#zygoteStarts.inc();
  }

  onZygoteEnd({ planned }: ZygoteEnd): void {
    this.#zygoteEnds.inc({ cause: planned ? "retired" : "died" });
  }

  onSandboxEnd(exit: SandboxExit | null): void {
    this.#sandboxEnds.inc({ cause: causeOf(exit) });
  }

  /** Has the worker asked for its figures at each scrape. */
  ask(figures: () => WorkerFigures): void {
    const gauge = (name: string, help: string, read: (figures: WorkerFigures) => number) =>
      askedGauge(this.registry, { name, help }, (asked) => asked.set(read(figures())));
    gauge("sandpiper_worker_running_calls", "Calls in course.", ({ running }) => running);
    gauge("sandpiper_worker_free_slots", "Calls that it would take now.", ({ room }) => room);
    gauge("sandpiper_pool_waiting_calls", "Calls that wait for an instance.", ({ pool }) => pool.waiting);
    gauge("sandpiper_pool_promised_memory_bytes", "Memory limits of all sandboxes.", ({ pool }) => pool.memoryBytes);
    gauge("sandpiper_pool_max_memory_bytes", "Most that they may be.", ({ limits }) => limits.memoryBudgetBytes);
    gauge("sandpiper_pool_max_sandboxes", "Most sandboxes.", ({ limits }) => limits.maxSandboxes);
    gauge("sandpiper_sandboxes_memory_bytes", "Memory of all sandboxes.", (all) => all.sandboxMemoryBytes());
    gauge("sandpiper_zygotes", "Zygotes, one for each launcher.", ({ zygotes }) => zygotes);
    const degraded = "1: sandboxes are no forks although they should be.";
    gauge("sandpiper_launcher_degraded", degraded, ({ posture }) => Number(posture.fallback !== undefined));
    const states = { name: "sandpiper_pool_sandboxes", help: "Sandboxes by state.", labelNames: ["state"] };
    askedGauge(this.registry, states, (asked) => {
      const { blank, starting, busy, free } = figures().pool;
      for (const [state, count] of Object.entries({ blank, starting, busy, free })) asked.set({ state }, count);
    });
    const warm = {
      name: "sandpiper_warm_instances",
      help: "Instances kept warm: wanted, and there.",
      labelNames: ["state"],
    };
    askedGauge(this.registry, warm, (asked) => {
      const { wantedWarm, warm: actual } = figures().pool;
      for (const [state, count] of Object.entries({ wanted: wantedWarm, actual })) asked.set({ state }, count);
    });
    const launcher = { name: "sandpiper_launcher_info", help: "The launcher in use.", labelNames: ["launcher"] };
    askedGauge(this.registry, launcher, (asked) => asked.set({ launcher: figures().posture.launcher }, 1));
  }

  seriesOf(labels: FunctionLabels) {
    const counters = {
      invocations: new FunctionCounter(this.#invocations, labels, ["outcome"]),
      errors: new FunctionCounter(this.#errors, labels, ["code"]),
      coldStarts: new FunctionCounter(this.#coldStarts, labels, ["start"]),
      timeouts: new FunctionCounter(this.#timeouts, labels, []),
    };
    const histograms = {
      invoke: this.#invoke.series(labels),
      init: this.#init.series(labels),
      cpu: this.#cpu.series(labels),
      memory: this.#memory.series(labels),
    };
    const all = { ...counters, ...histograms };
    return { ...all, remove: () => Object.values(all).forEach((one) => void one.remove()) };
  }

  egressSeriesOf({ tenant, function: host }: FunctionLabels) {
    const counters = {
      connections: new FunctionCounter(this.#connections, { tenant, host }, ["verdict"]),
      bytes: new FunctionCounter(this.#bytes, { tenant, host }, ["direction"]),
    };
    return { ...counters, remove: () => Object.values(counters).forEach((one) => void one.remove()) };
  }

  #seconds(name: string, help: string) {
    return new SeriesHistogram({ name, help, buckets: SECONDS, registry: this.registry });
  }

  #counter(name: string, help: string, ...more: string[]) {
    return new SeriesCounter({ name, help, labelNames: [...OF_FUNCTION, ...more], ...this.#registers });
  }

  #ofHost(name: string, help: string, more: string) {
    return new SeriesCounter({ name, help, labelNames: ["tenant", "host", more], ...this.#registers });
  }

  #plainCounter(name: string, help: string, ...labelNames: string[]) {
    return new Counter({ name, help, labelNames, ...this.#registers });
  }
}

function causeOf(exit: SandboxExit | null): string {
  if (exit === null) return "stuck";
  if (exit.usage.oomKills > 0) return "out_of_memory";
  if (exit.reason !== undefined) return exit.reason.startsWith("the zygote died") ? "zygote" : "ended_by_worker";
  return exit.signal === null ? "exit" : "signal";
}
