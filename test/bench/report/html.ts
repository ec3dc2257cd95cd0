/** A report as one HTML file that needs nothing else: charts, and every figure below them. */
import type { Report } from "../run/bench.ts";
import type { Row } from "../run/suite.ts";
import { barChart, escaped, stackChart } from "./chart.ts";
import { PREDICTED, predictionCells } from "./table.ts";
import type { Verdict } from "./targets.ts";
import { aimOf, describe, describeKernel, number, withUnit, wordFor } from "./text.ts";

/** Colours of a light and a dark page; the accent is Sandpiper's. */
const STYLE = `
:root { color-scheme: light dark; --page: #fbfaf7; --text: #22252a; --faint: #6b7178; --line: #dedbd2; --card: #fff;
  --ours: #d0632a; --peer: #a9b1ba; --spread: #22252a; --good: #1d7a46; --bad: #b3261e;
  --part0: #3b6fb6; --part1: #d0632a; --part2: #4d9a5b; --part3: #8d5bb0; --part4: #b9982f; --part5: #5f7f86; }
@media (prefers-color-scheme: dark) {
  :root { --page: #15171a; --text: #e6e4df; --faint: #979da5; --line: #33373d; --card: #1d2024; --ours: #ef8a4f;
    --peer: #5c6570; --spread: #f3f1ec; --good: #63c98d; --bad: #ff8a80; --part0: #6d9ee0; --part1: #ef8a4f;
    --part2: #76c084; --part3: #b48ad6; --part4: #d9bd5e; --part5: #8fb0b8; } }
body { margin: 0 auto; max-width: 78rem; padding: 2rem 1.25rem 4rem; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0; } h2 { margin: 2.5rem 0 .75rem; padding-top: 1rem; border-top: 1px solid var(--line); }
p.machine, figcaption, p.legend { color: var(--faint); } figcaption { font-weight: 600; margin-bottom: .25rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 34rem), 1fr)); gap: 1rem; }
figure.whole { grid-column: 1 / -1; } figure { margin: 0; padding: .9rem 1rem; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
svg { display: block; width: 100%; height: auto; } svg text { font-size: 13px; dominant-baseline: central; fill: var(--text); }
.label { text-anchor: end; fill: var(--faint); } svg .label { fill: var(--faint); } svg .strong { fill: var(--text); font-weight: 600; }
.ours { fill: var(--ours); } .peer { fill: var(--peer); }
.spread { stroke: var(--spread); stroke-width: 3; opacity: .55; } .tick { stroke: var(--spread); opacity: .55; }
.part0 { fill: var(--part0); background: var(--part0); } .part1 { fill: var(--part1); background: var(--part1); }
.part2 { fill: var(--part2); background: var(--part2); } .part3 { fill: var(--part3); background: var(--part3); }
.part4 { fill: var(--part4); background: var(--part4); } .part5 { fill: var(--part5); background: var(--part5); }
.legend { margin: .5rem 0 0; font-size: 13px; } .key { margin-right: .9rem; white-space: nowrap; }
.key i { display: inline-block; width: .7rem; height: .7rem; border-radius: 2px; margin-right: .3rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { text-align: left; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.n { font-variant-numeric: tabular-nums; white-space: nowrap; } .met { color: var(--good); font-weight: 600; }
.missed { color: var(--bad); font-weight: 600; } details { margin-top: 1rem; } summary { cursor: pointer; color: var(--faint); }
`;

export function formatHtml(report: Report): string {
  const sections = report.suites.map((suite) => sectionOf(suite, report));
  const predicted = table(PREDICTED, report.predictions.map(predictionCells));
  const notes = report.notes.map((note) => `<li>${escaped(note)}</li>`).join("");
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sandpiper: benchmarks of ${escaped(report.machine.date.slice(0, 10))}</title><style>${STYLE}</style></head><body>
<h1>Sandpiper: benchmarks</h1><p class="machine">${escaped(describe(report.machine))}<br>${escaped(describeKernel(report.machine))}</p>
<h2>What is aimed at</h2>${verdictTable(report.verdicts)}
${sections.join("\n")}
${predicted === "" ? "" : `<h2>Larger machines, by the model</h2>${predicted}`}
${notes === "" ? "" : `<h2>Not measured</h2><ul>${notes}</ul>`}
</body></html>
`;
}

function sectionOf(suite: string, { rows, ratios, costs, elapsedMs }: Report): string {
  const own = { rows: rows.filter(isOf(suite)), ratios: ratios.filter(isOf(suite)), costs: costs.filter(isOf(suite)) };
  const charts = [...Map.groupBy(own.rows, ({ chart, unit }) => `${chart === "" ? "" : `${chart}, `}${unit}`)];
  const names = [...new Set(own.costs.flatMap(({ cpuMsPerCall }) => Object.keys(cpuMsPerCall)))];
  const stacks = own.costs.map(({ name, cpuMsPerCall }) => ({
    label: name,
    parts: Object.entries(cpuMsPerCall).map(([part, value]) => ({ name: part, value })),
  }));
  const seconds = Math.round((elapsedMs[suite as keyof typeof elapsedMs] ?? 0) / 1_000);
  return `<h2>${escaped(suite)}</h2><p class="machine">${seconds} seconds. Bars are medians, thick lines the middle half, ticks p99.</p>
<div class="charts">${charts.map(([title, bars]) => barChart(title, bars)).join("")}
${stacks.length === 0 ? "" : stackChart("processor time of one, ms", stacks, names)}</div>
<details><summary>All figures of ${escaped(suite)}</summary>
${table(["what", "n", "median", "p25 to p75", "p99", "unit"], own.rows.map(rowCells))}
${table(
  ["ratio", "value", "p25 to p75 of rounds"],
  own.ratios.map(({ name, value, p25, p75 }) => [name, number(value), `${number(p25)} to ${number(p75)}`]),
)}
${table(
  ["for one call", "Redis commands", ...names.map((name) => `${name}, ms`)],
  own.costs.map(({ name, redisCommandsPerCall, cpuMsPerCall }) => [
    name,
    redisCommandsPerCall === null ? "" : redisCommandsPerCall.toFixed(1),
    ...names.map((part) => cpuMsPerCall[part]?.toFixed(3) ?? ""),
  ]),
)}</details>`;
}

const isOf =
  (suite: string) =>
  (one: { suite: string }): boolean =>
    one.suite === suite;

function rowCells({ name, samples, median, p25, p75, p99, unit }: Row): string[] {
  return [name, String(samples), number(median), `${number(p25)} to ${number(p75)}`, number(p99), unit];
}

function verdictTable(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map((verdict) => {
    const { suite, figure, measured, unit, of, met } = verdict;
    const value = measured === null ? "" : unit === null ? number(measured) : withUnit(measured, unit);
    const parts = of === null ? "" : `${withUnit(of.contender, of.unit)} / ${withUnit(of.floor, of.unit)}`;
    const word = met === null ? wordFor(met) : `<span class="${met ? "met" : "missed"}">${wordFor(met)}</span>`;
    return `<tr>${[suite, figure, value, parts, aimOf(verdict)].map(cell).join("")}<td>${word}</td></tr>`;
  });
  const head = ["suite", "what", "measured", "of", "target", ""].map((text) => `<th>${text}</th>`).join("");
  return `<div class="scroll"><table><tr>${head}</tr>${rows.join("")}</table></div>`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return "";
  const body = rows.map((cells) => `<tr>${cells.map(cell).join("")}</tr>`).join("");
  return `<div class="scroll"><table><tr>${head.map((text) => `<th>${escaped(text)}</th>`).join("")}</tr>${body}</table></div>`;
}

/** The first column says what, and may wrap; figures may not. */
function cell(text: string): string {
  return /^[\d.-]/.test(text) ? `<td class="n">${escaped(text)}</td>` : `<td>${escaped(text)}</td>`;
}
