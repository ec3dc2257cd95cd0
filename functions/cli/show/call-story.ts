/** The log and the trace of one call, which arrive a moment after the answer. */
import { setTimeout as wait } from "node:timers/promises";
import type { LogEntry } from "../../model/record.ts";
import type { StoredSpan } from "../../model/span.ts";
import type { Gateway } from "../client/gateway.ts";
import type { Answer } from "../client/http.ts";
import { columnsOf, type Io, isUtf8, say } from "../io.ts";
import { waterfall } from "./waterfall.ts";

/** Longest wait for the log's last record, and for a trace to be whole, in milliseconds. */
const LOG_WAIT_MS = 10_000;
const TRACE_WAIT_MS = 5_000;
const TRACE_POLL_MS = 100;

/**
 * The log of the call that gave this answer, up to the record of its end; what there is after
 * `LOG_WAIT_MS`.
 */
export async function logsOfCall(
  gateway: Gateway,
  name: string,
  answer: Answer,
  interrupted: AbortSignal,
): Promise<LogEntry[]> {
  const invocation = answer.header("x-request-id");
  // Without an outcome nothing ran, and nothing is logged.
  if (invocation === undefined || answer.header("x-sandpiper-outcome") === undefined) return [];
  const lines: LogEntry[] = [];
  const signal = AbortSignal.any([AbortSignal.timeout(LOG_WAIT_MS), interrupted]);
  try {
    for await (const line of gateway.logs(name, { invocation, follow: "1", limit: "1000" }, signal)) {
      lines.push(line);
      if ("end" in line) break;
    }
  } catch (error) {
    if (!signal.aborted || interrupted.aborted) throw error;
  }
  return lines;
}

/**
 * The spans of a trace once it is whole: the gateway's span is there, every other has its parent,
 * and nothing came since the last look. After `TRACE_WAIT_MS` what there is; null when there is
 * nothing.
 */
export async function traceOfCall(
  gateway: Gateway,
  traceId: string,
  signal: AbortSignal,
): Promise<StoredSpan[] | null> {
  const endMs = performance.now() + TRACE_WAIT_MS;
  let spans = await gateway.trace(traceId);
  while (performance.now() < endMs) {
    await wait(TRACE_POLL_MS, undefined, { signal });
    const before = spans?.length ?? 0;
    spans = await gateway.trace(traceId);
    if (spans && spans.length === before && isWhole(spans)) break;
  }
  return spans;
}

function isWhole(spans: readonly StoredSpan[]): boolean {
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const roots = spans.filter(({ parentSpanId }) => !ids.has(parentSpanId ?? ""));
  return roots.length === 1 && roots[0]?.name === "gateway";
}

/** Prints the waterfall of a trace to stderr. */
export function printTrace(io: Io, traceId: string, spans: readonly StoredSpan[] | null): void {
  say(io, `trace ${traceId}`);
  if (!spans || spans.length === 0) say(io, "  nothing of it has been recorded");
  for (const line of waterfall(spans ?? [], { columns: columnsOf(io.stderr), utf8: isUtf8(io.env) })) say(io, line);
}
