/** What is said of runs: for people, and as data. */
import type { Delays, Figures } from "./figures.ts";
import { type Goal, goalsOf } from "./goals.ts";
import type { RunResult } from "./run.ts";

/** One run as data. */
export interface Entry {
  name: string;
  what: string;
  figures: Figures | null;
  leaks: string[];
  goals: Goal[];
  /** Why there are no figures. */
  failure: string | null;
}

export function entryOf(result: RunResult): Entry {
  const { run, figures, leaks } = result;
  return { name: run.name, what: run.what, figures, leaks, goals: goalsOf(result), failure: null };
}

/** A run that could not be had. */
export function failedEntry({ name, what }: RunResult["run"], failure: string): Entry {
  return { name, what, figures: null, leaks: [], goals: [], failure };
}

/** Whether it fails the whole. @param strict whether soft goals count as well */
export function isBroken({ goals, failure }: Entry, strict: boolean): boolean {
  return failure !== null || goals.some(({ met, hard }) => !met && (hard || strict));
}

/** One run, in some lines. */
export function formatEntry({ name, what, figures, goals, failure }: Entry): string {
  if (figures === null) return `${name}: ${what}\n  FAILED ${failure}\n`;
  const { sent, right, wrong, lost, twice, unnoted, recoveryMs } = figures;
  const missed = goals.filter(({ met }) => !met);
  return [
    `${name}: ${what}`,
    `  sent ${sent}, right ${right}, wrong ${wrong}, lost ${lost}, twice ${twice}, right but not noted ${unnoted}`,
    `  errors: ${formatErrors(figures) || "none"}`,
    `  p50/p99 before ${formatDelays(figures.before)}, during ${formatDelays(figures.during)}, ` +
      `after ${formatDelays(figures.after)}; recovery ${formatRecovery(recoveryMs)}`,
    ...missed.map(({ hard, name: goal, found }) => `  ${hard ? "BROKEN" : "missed"}: ${goal} (${found})`),
    ...(missed.length === 0 ? [`  all ${goals.length} goals met`] : []),
    "",
  ].join("\n");
}

/** All runs as one table in Markdown, and what was missed below. */
export function formatMarkdown(entries: readonly Entry[]): string {
  const head =
    "| run | sent | right | errors (of them ran, began late) | twice | wrong | lost | p50/p99 before | during | after | recovery |";
  const rows = entries.map(rowOf);
  const missed = entries.flatMap(({ name, goals, failure }) => [
    ...(failure === null ? [] : [`- **${name}** failed: ${failure}`]),
    ...goals
      .filter(({ met }) => !met)
      .map((one) => `- **${name}** ${one.hard ? "BROKE" : "missed"}: ${one.name} (${one.found})`),
  ]);
  return [head, `|${"---|".repeat(11)}`, ...rows, "", ...missed, ""].join("\n");
}

function rowOf({ name, figures }: Entry): string {
  if (figures === null) return `| ${name} |${" |".repeat(10)}`;
  const { sent, right, twice, wrong, lost, before, during, after, recoveryMs } = figures;
  const times = [before, during, after].map(formatDelays);
  const cells = [name, sent, right, formatErrors(figures), twice, wrong, lost, ...times, formatRecovery(recoveryMs)];
  return `| ${cells.join(" | ")} |`;
}

function formatErrors({ errors }: Figures): string {
  return errors
    .map(({ code, count, ran, ranLate }) => `${count} ${code}${ran > 0 ? ` (${ran} ran, ${ranLate} late)` : ""}`)
    .join(", ");
}

function formatDelays(delays: Delays | null): string {
  return delays === null ? "-" : `${formatMs(delays.p50Ms)}/${formatMs(delays.p99Ms)}`;
}

function formatMs(ms: number): string {
  return ms < 10 ? `${ms.toFixed(1)} ms` : ms < 10_000 ? `${Math.round(ms)} ms` : `${Math.round(ms / 1_000)} s`;
}

function formatRecovery(recoveryMs: number | null): string {
  return recoveryMs === null ? "not seen" : `within ${recoveryMs / 1_000 + 1} s`;
}
