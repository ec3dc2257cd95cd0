/** The words for operators about a link: that Redis is another one, and that a clock is wrong. */
import type { Redis } from "ioredis";
import { linkOf, MAX_SKEW_MS, type RedisChange } from "./link.ts";

interface Log {
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
}

/** Writes a line whenever Redis is found to be another one, or this machine's clock to be wrong. */
export function reportLink(redis: Redis, log: Log): void {
  const link = linkOf(redis);
  link.on("change", (change) => {
    if (change.wentBack) log.warn(describeChange(change), { ...change });
    else log.info(describeChange(change));
  });
  link.on("skew", (aheadMs) => {
    if (aheadMs === 0) log.info("this machine's clock agrees with Redis's again");
    else log.warn("this machine's clock is wrong, or Redis's is", { clock: describeSkew(aheadMs), fix: SYNCHRONISE });
  });
}

const SYNCHRONISE = "have all machines synchronise their clocks (chrony, systemd-timesyncd)";

/** A change of Redis in a sentence. */
export function describeChange({ restarted, wentBack }: RedisChange): string {
  if (!wentBack) return "Redis was started anew; the calls that waited in it do not run, as their callers were told";
  const what = restarted ? "Redis was started anew and has" : "Redis has";
  return `${what} gone back in time: what was written to it last is gone, as after a restore or FLUSHALL`;
}

/** A clock's error in words, as in "31.0 s ahead of Redis's"; null for one that is right enough. */
export function describeSkew(aheadMs: number): string | null {
  if (Math.abs(aheadMs) <= MAX_SKEW_MS) return null;
  return `${(Math.abs(aheadMs) / 1_000).toFixed(1)} s ${aheadMs < 0 ? "behind" : "ahead of"} Redis's`;
}
