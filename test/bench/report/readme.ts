/** Writes the figures of a report into documents, between two markers. */
import type { Report } from "../run/bench.ts";
import { formatFigures } from "./table.ts";
import type { Verdict } from "./targets.ts";
import { aimOf, describe, describeKernel, number, withUnit, wordFor } from "./text.ts";

const BEGIN = "<!-- figures: written by `npm run bench -- --readme FILE` -->";
const END = "<!-- end of figures -->";
/** The suites whose targets README.md shows: what Sandpiper says of itself. */
const SHOWN = ["sandbox", "cold", "warm", "fresh", "density", "scale", "trace"];

/** The text between the markers of each document, by its path. */
export const DOCUMENTS: Readonly<Record<string, (report: Report) => string>> = {
  "README.md": verdictTable,
  "docs/BENCHMARKS.md": figuresTable,
};

/**
 * The document with this text between its markers. Doing so again changes nothing.
 * @throws Error when a marker lacks
 */
export function withFigures(document: string, figures: string): string {
  const [start, end] = [document.indexOf(BEGIN), document.indexOf(END)];
  if (start < 0 || end < start) throw new Error(`the document lacks the markers ${BEGIN} and ${END}`);
  return `${document.slice(0, start + BEGIN.length)}\n\n${figures.trim()}\n\n${document.slice(end)}`;
}

function verdictTable(report: Report): string {
  const shown = report.verdicts.filter(({ suite }) => SHOWN.includes(suite));
  const lines = shown.map((verdict) => `| ${cellsOf(verdict).join(" | ")} |`);
  return [
    `${describe(report.machine)}. ${describeKernel(report.machine)}.`,
    "",
    "| what | measured | ratio | target |",
    "|---|---|---|---|",
    ...lines,
    "",
    ...summary(shown),
  ].join("\n");
}

function cellsOf(verdict: Verdict): string[] {
  const { figure, measured, of, unit } = verdict;
  const aim = aimOf(verdict);
  if (measured === null) return [figure, wordFor(null), "", aim];
  if (of !== null) {
    const both = `${withUnit(of.contender, of.unit)} against ${withUnit(of.floor, of.unit)}`;
    return [figure, both, number(measured), aim];
  }
  return [figure, unit === null ? number(measured) : withUnit(measured, unit), "", aim];
}

/** A sentence on the targets that are met, and one on those that are not. */
function summary(verdicts: readonly Verdict[]): string[] {
  const missed = verdicts.filter(({ met }) => met === false).map(({ figure }) => figure);
  const met = verdicts.filter((verdict) => verdict.met).length;
  const measured = met + missed.length;
  const rest = missed.length === 0 ? [] : [`Not met: ${missed.join("; ")}.`];
  return [`Met: ${met === measured ? "all" : `${met} of the`} ${measured} targets that were measured.`, ...rest];
}

function figuresTable(report: Report): string {
  return ["```", formatFigures(report), "```"].join("\n");
}
