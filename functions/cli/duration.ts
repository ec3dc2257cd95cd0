/** Durations as people write them. */
import { InvalidArgumentError } from "commander";

const UNITS_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** "5m" in milliseconds. @throws InvalidArgumentError for anything else. */
export function durationMs(text: string): number {
  const [, count, unit = ""] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  if (count === undefined) throw new InvalidArgumentError("A duration is a number and one of s, m, h, d: 5m");
  return Number(count) * (UNITS_MS[unit] ?? 0);
}

/** Milliseconds as the largest unit that they are a whole number of: "5m". */
export function durationText(ms: number): string {
  const units = Object.entries(UNITS_MS).filter(([, unitMs]) => ms % unitMs === 0);
  const [unit, unitMs] = units.at(-1) ?? ["ms", 1];
  return `${ms / unitMs}${unit}`;
}

/** A whole number from 1. @throws InvalidArgumentError for anything else. */
export function positiveInteger(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError("It must be a whole number from 1.");
  return Number(text);
}
