/** Durations as people write them. */

const UNITS_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A whole number and one of s, m, h, d. */
export const DURATION_PATTERN = /^(\d{1,9})([smhd])$/;

/** "5m" in milliseconds; null for anything else. */
export function readDuration(text: string): number | null {
  const [, count, unit = ""] = DURATION_PATTERN.exec(text) ?? [];
  return count === undefined ? null : Number(count) * (UNITS_MS[unit] ?? 0);
}

/** Milliseconds as the largest unit that they are a whole number of: "5m". */
export function durationText(ms: number): string {
  const units = Object.entries(UNITS_MS).filter(([, unitMs]) => ms % unitMs === 0);
  const [unit, unitMs] = units.at(-1) ?? ["ms", 1];
  return `${ms / unitMs}${unit}`;
}
