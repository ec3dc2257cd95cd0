/**
 * A trace as a waterfall: one row a span, indented under its parent, with a bar where it was in
 * time.
 */

import { escapeLine } from "../../../infra/std/escape.ts";
import type { StoredSpan } from "../../model/span.ts";

export interface WaterfallOptions {
  columns: number;
  /** Whether bars may be drawn with block characters; otherwise with ASCII. */
  utf8: boolean;
}

const NAME_COLUMNS = 22;
const DURATION_COLUMNS = 11;
/** Attributes that a row shows beside its bar, and the label of each. */
const KEY_ATTRIBUTES: Readonly<Record<string, string>> = {
  "sandpiper.outcome": "outcome",
  "sandpiper.start": "start",
  "sandpiper.cache": "cache",
  "http.response.status_code": "status",
  "faas.coldstart": "coldstart",
  "sandpiper.cpu_ms": "cpu_ms",
  "sandpiper.peak_memory_bytes": "peak_bytes",
  "sandpiper.egress.host": "host",
  "network.peer.port": "port",
  "sandpiper.egress.verdict": "verdict",
  "sandpiper.egress.bytes_up": "up",
  "sandpiper.egress.bytes_down": "down",
  "network.peer.address": "address",
};

/** The lines of the waterfall, none wider than `columns`. No spans give no lines. */
export function waterfall(spans: readonly StoredSpan[], { columns, utf8 }: WaterfallOptions): string[] {
  if (spans.length === 0) return [];
  const startMs = Math.min(...spans.map((span) => span.startMs));
  const totalMs = Math.max(...spans.map((span) => span.endMs)) - startMs || 1;
  const barColumns = Math.max(10, columns - NAME_COLUMNS - DURATION_COLUMNS - 2);
  const [full, gap] = utf8 ? ["█", "·"] : ["#", "."];
  return inTreeOrder(spans).flatMap(({ span, depth }) => {
    const indent = "  ".repeat(Math.min(depth, 6));
    const from = Math.min(barColumns - 1, Math.floor(((span.startMs - startMs) / totalMs) * barColumns));
    const width = Math.max(1, Math.round(((span.endMs - span.startMs) / totalMs) * barColumns));
    const bar = full.repeat(Math.min(width, barColumns - from));
    const mark = span.status === "error" ? "!" : " ";
    const name = clip(`${indent}${escapeLine(span.name)}${mark}`, NAME_COLUMNS).padEnd(NAME_COLUMNS);
    const duration = `${(span.endMs - span.startMs).toFixed(2)} ms`.padStart(DURATION_COLUMNS);
    const row = `${name} ${(gap.repeat(from) + bar).padEnd(barColumns, gap)} ${duration}`;
    const facts = factsOf(span);
    return facts === "" ? [row] : [row, clip(`${indent}  ${facts}`, columns)];
  });
}

/**
 * Parents before children, children by their start. A span whose parent is not here stands at the
 * top.
 */
function inTreeOrder(spans: readonly StoredSpan[]): { span: StoredSpan; depth: number }[] {
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const children = Map.groupBy(spans, ({ parentSpanId }) => (ids.has(parentSpanId ?? "") ? parentSpanId : undefined));
  const ordered: { span: StoredSpan; depth: number }[] = [];
  const visit = (parent: string | undefined, depth: number): void => {
    const group = children.get(parent) ?? [];
    children.delete(parent);
    for (const span of group.toSorted((a, b) => a.startMs - b.startMs)) {
      ordered.push({ span, depth });
      visit(span.spanId, depth + 1);
    }
  };
  visit(undefined, 0);
  return ordered;
}

function factsOf({ attributes, statusMessage }: StoredSpan): string {
  const facts = Object.entries(KEY_ATTRIBUTES).flatMap(([key, label]) =>
    Object.hasOwn(attributes, key) ? [`${label}=${escapeLine(String(attributes[key]))}`] : [],
  );
  if (statusMessage) facts.push(escapeLine(statusMessage));
  return facts.join(" ");
}

function clip(text: string, columns: number): string {
  return text.length <= columns ? text : `${text.slice(0, columns - 3)}...`;
}
