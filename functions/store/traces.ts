/**
 * Spans of sampled calls, kept for a while so that a trace can be read back without any collector.
 */
import type { Redis } from "ioredis";
import { KIB } from "../../infra/std/bytes.ts";
import type { StoredSpan } from "../model/span.ts";

/** The attribute that says whose trace a span is of; a span without it is not stored. */
export const TENANT_ATTRIBUTE = "sandpiper.tenant";

export const TRACE_TTL_MS = 10 * 60_000;
const MAX_SPANS_PER_TRACE = 1_000;
const MAX_SPAN_BYTES = 8 * KIB;
const TRACE_ID = /^[0-9a-f]{32}$/;
const traceKey = (tenant: string, traceId: string): string => `sp:trace:${tenant}:${traceId}`;

/**
 * Keeps spans for `TRACE_TTL_MS` under their tenant and trace. Spans beyond the limits of number
 * and size, or without a tenant, are left out.
 */
export async function storeSpans(redis: Redis, spans: readonly StoredSpan[]): Promise<void> {
  const byKey = new Map<string, string[]>();
  for (const span of spans) {
    const tenant = span.attributes[TENANT_ATTRIBUTE];
    const text = JSON.stringify(span);
    if (typeof tenant !== "string" || !TRACE_ID.test(span.traceId) || Buffer.byteLength(text) > MAX_SPAN_BYTES)
      continue;
    const key = traceKey(tenant, span.traceId);
    byKey.set(key, [...(byKey.get(key) ?? []), text]);
  }
  if (byKey.size === 0) return;
  const pipeline = redis.pipeline();
  for (const [key, texts] of byKey) {
    pipeline
      .rpush(key, ...texts)
      .ltrim(key, 0, MAX_SPANS_PER_TRACE - 1)
      .pexpire(key, TRACE_TTL_MS);
  }
  await pipeline.exec();
}

/** The spans of a tenant's trace by start time, or null when nothing of it is stored. */
export async function readTrace(redis: Redis, tenant: string, traceId: string): Promise<StoredSpan[] | null> {
  if (!TRACE_ID.test(traceId)) return null;
  const stored = await redis.lrange(traceKey(tenant, traceId), 0, -1);
  if (stored.length === 0) return null;
  return stored.map((text) => JSON.parse(text) as StoredSpan).sort((a, b) => a.startMs - b.startMs);
}
