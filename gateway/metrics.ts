/** Figures of a gateway: calls as their clients see them, the queue, and the budgets of bodies. */
import type { Redis } from "ioredis";
import type { QuotaName } from "../functions/model/quotas.ts";
import { listWorkers } from "../functions/store/workers.ts";
import { queueFigures } from "../functions/transport/queue-figures.ts";
import {
  askedGauge,
  Counter,
  FunctionCounter,
  type FunctionLabels,
  type Gauge,
  processRegistry,
  SECONDS,
  SeriesByFunction,
} from "../infra/telemetry/metrics.ts";
import { SeriesCounter, SeriesHistogram } from "../infra/telemetry/series.ts";
import { type EndedCall, endedHere } from "./call/watched-call.ts";

/** Calls of functions that nobody has looked up: names in URLs are whatever clients like. */
const UNKNOWN: FunctionLabels = { tenant: "unknown", function: "unknown" };
const QUEUES = ["calls", "builds"] as const;

/** Facts that a gateway tells at a scrape. */
export interface GatewayFigures {
  waitingCalls: number;
  /** Of these, calls that have not gone to the queue yet. */
  heldCalls: number;
  /** Slots for calls of all workers, as the gateway knows them; 0: not yet. */
  slots: number;
  /** Slots of these that are kept for functions. */
  reservedSlots: number;
  isAccepting: boolean;
  /** Bytes that budgets have given out, and may give, by name. */
  budgets: Readonly<Record<string, { takenBytes: number; limitBytes: number }>>;
  /** Direct connections of workers, and messages of replies by the way that they came. */
  replies: { connections: number; messages: Readonly<Record<string, number>> };
}

export class GatewayMetrics {
  readonly registry = processRegistry();
  readonly #registers = { registers: [this.registry] };
  readonly #calls = new SeriesCounter({
    ...{ name: "sandpiper_gateway_calls_total", help: "Calls that ended, by outcome and error." },
    ...{ labelNames: ["tenant", "function", "outcome", "code"], ...this.#registers },
  });
  readonly #durations = new SeriesHistogram({
    ...{ name: "sandpiper_gateway_call_duration_seconds", help: "Time of a call as its client sees it." },
    ...{ buckets: SECONDS, registry: this.registry },
  });
  readonly #shed = new Counter({
    ...{ name: "sandpiper_gateway_shed_calls_total", help: "Calls that were refused before they were queued." },
    ...{ labelNames: ["code"], ...this.#registers },
  });
  readonly #refused = new SeriesCounter({
    ...{ name: "sandpiper_gateway_quota_refusals_total", help: "Calls and changes that a quota refused." },
    ...{ labelNames: ["tenant", "quota"], ...this.#registers },
  });
  readonly #refusals: SeriesByFunction<FunctionCounter>;
  readonly #series: SeriesByFunction<ReturnType<GatewayMetrics["seriesOf"]>>;
  readonly #unknown: ReturnType<GatewayMetrics["seriesOf"]>;

  /** @param maxFunctions how many functions have series of their own. */
  constructor(maxFunctions: number) {
    this.#series = new SeriesByFunction(maxFunctions, (labels) => this.seriesOf(labels));
    this.#unknown = this.seriesOf(UNKNOWN);
    const refusalsOf = ({ tenant, function: quota }: FunctionLabels) => ({ tenant, quota });
    this.#refusals = new SeriesByFunction(
      maxFunctions,
      (labels) => new FunctionCounter(this.#refused, refusalsOf(labels), []),
    );
  }

  /** Counts a call that has ended. */
  onEnded(call: EndedCall): void {
    const series = call.invocation === null ? this.#unknown : this.#series.of(call.invocation);
    const code = call.error?.code ?? "";
    series.calls.inc(call.outcome ?? "none", code);
    series.duration.observe(call.tookMs / 1_000);
    if (!call.isSubmitted && code !== "CLIENT_GONE" && endedHere(call)) this.#shed.inc({ code });
  }

  /** Counts what a tenant's quota refused. */
  onRefused(tenant: string, quota: QuotaName): void {
    this.#refusals.of({ tenant, functionName: quota }).inc();
  }

  /**
   * Has the gateway, and Redis, asked at each scrape.
   * @param redis fails at once while it is away.
   */
  ask(redis: Redis, figures: () => GatewayFigures): void {
    const gauge = (name: string, help: string, labelNames: string[], ask: (gauge: Gauge) => void | Promise<void>) =>
      askedGauge(this.registry, { name, help, labelNames }, ask);
    gauge("sandpiper_gateway_waiting_calls", "Calls whose client waits.", [], (asked) =>
      asked.set(figures().waitingCalls),
    );
    gauge("sandpiper_gateway_held_calls", "Of these, calls that wait for a slot of a worker.", [], (asked) =>
      asked.set(figures().heldCalls),
    );
    gauge("sandpiper_gateway_slots", "Slots of all workers, as tenants share them; 0: not known.", [], (asked) =>
      asked.set(figures().slots),
    );
    const reserved = "Slots that are kept for functions.";
    gauge("sandpiper_gateway_reserved_slots", reserved, [], (asked) => asked.set(figures().reservedSlots));
    gauge("sandpiper_gateway_accepting", "1: calls are taken.", [], (asked) =>
      asked.set(Number(figures().isAccepting)),
    );
    gauge("sandpiper_gateway_body_bytes", "Bodies in memory, by budget.", ["budget"], (asked) => {
      for (const [budget, { takenBytes }] of Object.entries(figures().budgets)) asked.set({ budget }, takenBytes);
    });
    gauge("sandpiper_gateway_max_body_bytes", "Most that they may take.", ["budget"], (asked) => {
      for (const [budget, { limitBytes }] of Object.entries(figures().budgets)) asked.set({ budget }, limitBytes);
    });
    const direct = "Connections over which workers send replies.";
    gauge("sandpiper_gateway_direct_connections", direct, [], (asked) => asked.set(figures().replies.connections));
    new Counter({
      ...{ name: "sandpiper_gateway_reply_messages_total", help: "Messages of replies that came, by way." },
      ...{ labelNames: ["way"], ...this.#registers },
      collect() {
        this.reset();
        for (const [way, count] of Object.entries(figures().replies.messages)) this.inc({ way }, count);
      },
    });
    // While Redis is away there is nothing to tell but that.
    const ofQueues = async (tell: (queue: string, read: Awaited<ReturnType<typeof queueFigures>>) => void) => {
      const all = await Promise.all(QUEUES.map((queue) => queueFigures(redis, queue))).catch(() => []);
      for (const [at, read] of all.entries()) tell(String(QUEUES[at]), read);
    };
    gauge("sandpiper_queue_jobs", "Jobs in a queue, by state. One may hold 32 calls.", ["queue", "state"], (asked) =>
      ofQueues((queue, { waiting, active }) => {
        asked.set({ queue, state: "waiting" }, waiting);
        asked.set({ queue, state: "active" }, active);
      }),
    );
    gauge("sandpiper_queue_oldest_seconds", "Age of the job that waits longest.", ["queue"], (asked) =>
      ofQueues((queue, { oldestMs }) => asked.set({ queue }, oldestMs / 1_000)),
    );
    gauge("sandpiper_redis_up", "1: Redis answers this gateway.", [], async (asked) =>
      asked.set(
        await redis.ping().then(
          () => 1,
          () => 0,
        ),
      ),
    );
    gauge("sandpiper_workers", "Workers that are alive.", ["launcher"], async (asked) => {
      for (const launcher of ["fork", "exec"]) asked.set({ launcher }, 0);
      const workers = await listWorkers(redis).catch(() => null);
      if (workers === null) asked.reset();
      for (const { posture } of workers ?? []) asked.inc({ launcher: posture.launcher });
    });
  }

  seriesOf(labels: FunctionLabels) {
    const calls = new FunctionCounter(this.#calls, labels, ["outcome", "code"]);
    const duration = this.#durations.series(labels);
    return {
      calls,
      duration,
      remove: () => {
        calls.remove();
        duration.remove();
      },
    };
  }
}
