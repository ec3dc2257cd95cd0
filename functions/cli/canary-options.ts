/** The options by which a canary watches itself, and its terms in words. */
import { type Command, InvalidArgumentError } from "commander";
import { durationText } from "../../infra/std/duration.ts";
import type { CanaryWatch } from "../model/canary.ts";
import { durationMs, positiveInteger } from "./duration.ts";
import { CliError } from "./failure.ts";

/** Values of the options. */
export interface AutoOptions {
  auto?: boolean;
  window?: number;
  maxErrors?: number;
  minCalls?: number;
}

/** Adds these options to a command. */
export function addAutoOptions(command: Command): Command {
  return command
    .option("--auto", "promote the second version, or take it back, by its errors and times beside the first's")
    .option("--window <duration>", "with --auto: judge it after this time, 10m without it", durationMs)
    .option("--max-errors <share>", "with --auto: so many more of its calls may fail, 5% without it", percentOrNone)
    .option(
      "--min-calls <count>",
      "with --auto: calls of each version that it takes to judge, 50 without it",
      positiveInteger,
    );
}

/**
 * The terms that options name; nothing without `--auto`. @throws CliError of kind `usage`
 */
export function autoOf({ auto, window, maxErrors, minCalls }: AutoOptions): Partial<CanaryWatch> | undefined {
  if (auto) {
    return {
      ...(window !== undefined && { windowMs: window }),
      ...(maxErrors !== undefined && { maxErrorPercent: maxErrors }),
      ...(minCalls !== undefined && { minCalls }),
    };
  }
  if (window === undefined && maxErrors === undefined && minCalls === undefined) return undefined;
  throw new CliError("usage", "--window, --max-errors and --min-calls are for --auto", { code: "USAGE" });
}

/** The terms of a watch in words; nothing when there is none. */
export function autoText(auto: CanaryWatch | undefined): string {
  if (auto === undefined) return "";
  const { windowMs, maxErrorPercent, minCalls } = auto;
  return `  auto: ${durationText(windowMs)}, errors +${maxErrorPercent}% at most, ${minCalls} calls`;
}

/** A share from 0 to 100 percent, which may be broken. */
function percentOrNone(text: string): number {
  const percent = /^\d{1,3}(\.\d{1,2})?%?$/.test(text) ? Number.parseFloat(text) : 101;
  if (percent <= 100) return percent;
  throw new InvalidArgumentError("A share of calls is from 0% to 100%, such as 5%.");
}
