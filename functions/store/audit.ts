/**
 * The audit log: who administered what, when, from where, and what came of it. Each tenant has a
 * stream, and operators have one of what they did, which stays when a tenant goes. Times are those
 * of Redis's clock. No entry has a value that somebody sent: names and ids alone.
 */
import type { Redis } from "ioredis";

/** An act; times in Unix milliseconds. */
export interface AuditEntry {
  timeMs: number;
  /** Whom it concerned. */
  tenant: string;
  keyId: string;
  /** Whether the key was an operator's. */
  operator: boolean;
  action: string;
  /** Name or id of the function, secret, key or tenant; empty when there is none. */
  target: string;
  address: string;
  /** "ok", or the code of the error. */
  outcome: string;
}

/** The entries that are wanted. */
export interface AuditFilter {
  /** A whole action, "function.deploy", or the part before the dot. */
  action?: string | undefined;
  sinceMs?: number | undefined;
  /** Most entries, the latest ones. */
  limit: number;
}

/** About how many entries a stream keeps, and how long each. */
const MAX_ENTRIES = 10_000;
const KEEP_MS = 90 * 24 * 3_600_000;
const PAGE = 500;

const auditKey = (tenant: string): string => `sp:audit:${tenant}`;
/** The stream of operators' acts. */
const OPERATORS = "sp:operatoraudit";

/** KEYS: stream. ARGV: the entry without its time. */
const ADD = `
redis.call("XADD", KEYS[1], "*", "e", ARGV[1])
local time = redis.call("TIME")
local oldestMs = time[1] * 1000 - ${KEEP_MS}
redis.call("XTRIM", KEYS[1], "MINID", "~", string.format("%.0f", oldestMs))
redis.call("XTRIM", KEYS[1], "MAXLEN", "~", ${MAX_ENTRIES})
redis.call("PEXPIRE", KEYS[1], ${KEEP_MS})`;

/** Notes an act in a tenant's log; null: in the one of operators. */
export async function noteAct(redis: Redis, log: string | null, act: Omit<AuditEntry, "timeMs">): Promise<void> {
  await redis.eval(ADD, 1, log === null ? OPERATORS : auditKey(log), JSON.stringify(act));
}

/** The latest entries of a tenant's log, or of the operators', oldest first. */
export async function readAudit(redis: Redis, log: string | null, filter: AuditFilter): Promise<AuditEntry[]> {
  const key = log === null ? OPERATORS : auditKey(log);
  // Entries that are too old may lie in a part of the stream that is not trimmed yet.
  const oldest = String(Math.max(filter.sinceMs ?? 0, Date.now() - KEEP_MS));
  const found: AuditEntry[] = [];
  for (let newest = "+"; ; ) {
    const page = await redis.xrevrange(key, newest, oldest, "COUNT", PAGE);
    const entries = page.map(([id, [, text = ""]]) => ({ timeMs: Number(id.split("-")[0]), ...JSON.parse(text) }));
    found.push(...(entries as AuditEntry[]).filter(({ action }) => isWanted(action, filter.action)));
    const last = page.at(-1);
    if (found.length >= filter.limit || last === undefined || page.length < PAGE) break;
    newest = `(${last[0]}`;
  }
  return found.slice(0, filter.limit).reverse();
}

function isWanted(action: string, wanted: string | undefined): boolean {
  return wanted === undefined || action === wanted || action.startsWith(`${wanted}.`);
}
