/** Sizes, times and counts as people write them on a command line. */
import { UsageError } from "./usage.ts";

const SIZE_UNITS: Record<string, number> = { "": 1, b: 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };
const TIME_UNITS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** "64m", "1.5g", "512KiB" or plain bytes. @throws UsageError */
export function parseBytes(text: string): number {
  const [, number, unit = ""] = /^(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?$/i.exec(text) ?? [];
  const bytes = Math.round(Number(number) * (SIZE_UNITS[unit.toLowerCase()] ?? Number.NaN));
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw new UsageError(`${quote(text)} is no size`, "write a number with b, k, m or g: 64m is 64 MiB");
}

/** "500ms", "5s", "2m", "1h". @throws UsageError */
export function parseMs(text: string): number {
  const [, number, unit = ""] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? [];
  const ms = Math.round(Number(number) * (TIME_UNITS[unit] ?? Number.NaN));
  if (ms > 0 && ms < 2 ** 31) return ms;
  throw new UsageError(`${quote(text)} is no time`, "write a number with ms, s, m or h, up to 24 days: 5s");
}

/** Processors' worth of time: "0.5". @throws UsageError */
export function parseCpus(text: string): number {
  const cpus = Number(text);
  if (/^\d*\.?\d+$/.test(text) && cpus >= 0.01) return cpus;
  throw new UsageError(`${quote(text)} is no number of processors`, "write 0.5 for half of one; 0.01 is the least");
}

/** A whole number from `least` on. @throws UsageError */
export function parseCount(text: string, least: number): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(count) && count >= least) return count;
  throw new UsageError(`${quote(text)} is no count`, `write a whole number, at least ${least}`);
}

export function quote(text: string): string {
  return JSON.stringify(text);
}
