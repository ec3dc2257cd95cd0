/** Durations and numbers as options of commands. */
import { InvalidArgumentError } from "commander";
import { readDuration } from "../../infra/std/duration.ts";

/** "5m" in milliseconds. @throws InvalidArgumentError for anything else. */
export function durationMs(text: string): number {
  const ms = readDuration(text);
  if (ms === null) throw new InvalidArgumentError("A duration is a number and one of s, m, h, d: 5m");
  return ms;
}

/** A whole number from 1. @throws InvalidArgumentError for anything else. */
export function positiveInteger(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError("It must be a whole number from 1.");
  return Number(text);
}
