/** A report as text for people. */
import type { Prediction } from "../measure/model.ts";
import type { Report } from "../run/bench.ts";
import type { Cost, Ratio, Row } from "../run/suite.ts";
import type { Verdict } from "./targets.ts";
import { aimOf, describe, describeKernel, number, withUnit, wordFor } from "./text.ts";

/** The whole report; a table for each kind of result. */
export function formatReport(report: Report): string {
  const blocks = [
    formatFigures(report),
    table(["suite", "ratio of medians", "value", "p25 to p75 of rounds"], report.ratios.map(ratioCells)),
  ];
  if (report.costs.length > 0) {
    blocks.push(
      table(["suite", "for one call", "Redis commands", "processor time in ms"], report.costs.map(costCells)),
    );
  }
  if (report.predictions.length > 0) blocks.push(table(PREDICTED, report.predictions.map(predictionCells)));
  if (report.notes.length > 0) blocks.push(report.notes.join("\n"));
  return `${blocks.join("\n\n")}\n`;
}

/** Where and when it was measured, which targets are met, and what was measured. */
export function formatFigures(report: Report): string {
  const seconds = Object.entries(report.elapsedMs).map(([name, ms]) => `${name} ${Math.round(ms / 1_000)} s`);
  return [
    `${describe(report.machine)}\n${describeKernel(report.machine)}\nTime taken: ${seconds.join(", ")}`,
    table(["suite", "what is aimed at", "target", "measured", "p25 to p75", ""], report.verdicts.map(verdictCells)),
    table(["suite", "what", "n", "median", "p25 to p75", "p99", "unit"], report.rows.map(rowCells)),
  ].join("\n\n");
}

function verdictCells(verdict: Verdict): string[] {
  const { suite, figure, measured, p25, p75, met, unit } = verdict;
  const value = measured === null ? "" : unit === null ? number(measured) : withUnit(measured, unit);
  const spread = p25 === null || p75 === null ? "" : `${number(p25)} to ${number(p75)}`;
  return [suite, figure, aimOf(verdict), value, spread, wordFor(met)];
}

function rowCells({ suite, name, samples, median, p25, p75, p99, unit }: Row): string[] {
  return [suite, name, String(samples), number(median), `${number(p25)} to ${number(p75)}`, number(p99), unit];
}

function ratioCells({ suite, name, value, p25, p75 }: Ratio): string[] {
  return [suite, name, number(value), `${number(p25)} to ${number(p75)}`];
}

function costCells({ suite, name, cpuMsPerCall, redisCommandsPerCall }: Cost): string[] {
  const parts = Object.entries(cpuMsPerCall);
  const total = parts.reduce((sum, [, ms]) => sum + ms, 0);
  const commands = redisCommandsPerCall === null ? "" : redisCommandsPerCall.toFixed(1);
  return [
    suite,
    name,
    commands,
    [["all", total] as const, ...parts].map(([who, ms]) => `${who} ${ms.toFixed(3)}`).join(", "),
  ];
}

/** The columns of what the model says of larger machines. */
export const PREDICTED: readonly string[] = [
  "processors",
  "gateways",
  "workers",
  "costs of",
  "calls a second, by the model",
  "first without time",
  "Redis's share of its processor",
  "Redis commands a second",
];

export function predictionCells(prediction: Prediction): string[] {
  const { processors, gateways, workers, inFlight, callsPerSecond, limit, redisShare } = prediction;
  return [
    ...[processors, gateways, workers].map(String),
    `${inFlight} in flight`,
    callsPerSecond.toFixed(0),
    limit,
    `${Math.round(redisShare * 100)} %`,
    prediction.redisCommandsPerSecond.toFixed(0),
  ];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...lines.map((cells) => (cells[column] ?? "").length)));
  const isNumber = (cell: string): boolean => /^-?[\d.]+$/.test(cell);
  const format = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => (isNumber(cell) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
      .join("  ")
      .trimEnd();
  return [format(head), widths.map((width) => "-".repeat(width)).join("  "), ...rows.map(format)].join("\n");
}
