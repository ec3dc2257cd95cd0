/**
 * Charts as inline SVG: medians with their spread, and stacked costs. Colours are classes that the
 * page defines.
 */
import { number } from "./text.ts";

/** One line of a chart of medians. */
export interface Bar {
  label: string;
  median: number;
  p25: number;
  p75: number;
  p99: number;
  ours: boolean;
}

/** One line of a chart of parts that add up. */
export interface Stack {
  label: string;
  parts: readonly { name: string; value: number }[];
}

/**
 * How wide a chart is, and how much of that its labels take; in units of its own, about a pixel
 * each.
 */
interface Layout {
  width: number;
  labels: number;
  longestLabel: number;
}
const HALF: Layout = { width: 720, labels: 280, longestLabel: 38 };
const WHOLE: Layout = { width: 1_200, labels: 390, longestLabel: 56 };
const VALUES = 80;
const LINE = 24;
const BAR = 14;
const TOP = 4;
/**
 * From so many times on between the smallest and the largest value a line from zero would show
 * nothing of the small ones.
 */
const LOGARITHMIC_FROM = 40;
/** How many colours for parts the page defines. */
const COLOURS = 6;

/**
 * Bars from zero, or points where values differ by too much for that; the middle half is a thick
 * line, p99 a tick.
 */
export function barChart(title: string, bars: readonly Bar[]): string {
  const largest = Math.max(...bars.map(({ p75, median }) => Math.max(p75, median)), Number.MIN_VALUE);
  const positive = bars.map(({ p25, median }) => Math.min(p25, median)).filter((value) => value > 0);
  const smallest = Math.min(...positive, largest);
  const logarithmic = positive.length === bars.length && largest / smallest > LOGARITHMIC_FROM;
  const { width: whole, labels } = HALF;
  const space = whole - labels - VALUES;
  const low = Math.log(smallest / 2);
  const at = (value: number): number => {
    const part = logarithmic ? (Math.log(value) - low) / (Math.log(largest) - low) : value / largest;
    return labels + space * Math.min(1, Math.max(0, part));
  };
  const lines = bars.map((bar, index) => {
    const middle = TOP + index * LINE + LINE / 2;
    const who = bar.ours ? "ours" : "peer";
    const from = logarithmic ? at(bar.median) - BAR / 2 : labels;
    const width = logarithmic ? BAR : Math.max(1, at(bar.median) - labels);
    const about = `${bar.label}: median ${number(bar.median)}, p25 ${number(bar.p25)}, p75 ${number(bar.p75)}, p99 ${number(bar.p99)}`;
    return [
      `<g><title>${escaped(about)}</title>`,
      labelAt(HALF, bar.label, middle, bar.ours),
      rectangle(from, middle - BAR / 2, width, BAR, who, logarithmic ? BAR / 2 : 2),
      stroke(at(bar.p25), at(bar.p75), middle),
      bar.p99 <= largest ? tick(at(bar.p99), middle) : "",
      `<text class="value" x="${whole - VALUES + 8}" y="${middle}">${number(bar.median)}</text></g>`,
    ].join("");
  });
  return figure(HALF, logarithmic ? `${title} (logarithmic)` : title, bars.length, lines.join(""));
}

/** @param names of the parts, in the order of their colours */
export function stackChart(title: string, stacks: readonly Stack[], names: readonly string[]): string {
  const totalOf = ({ parts }: Stack) => parts.reduce((sum, { value }) => sum + value, 0);
  const largest = Math.max(...stacks.map(totalOf), Number.MIN_VALUE);
  const { width: whole, labels } = WHOLE;
  const space = whole - labels - VALUES;
  const lines = stacks.map((stack, index) => {
    const middle = TOP + index * LINE + LINE / 2;
    let x = labels;
    const parts = stack.parts.map(({ name, value }) => {
      const width = (Math.max(0, value) / largest) * space;
      const colour = `part${names.indexOf(name) % COLOURS}`;
      const drawn = `<g><title>${escaped(`${stack.label}: ${name} ${value.toFixed(3)}`)}</title>${rectangle(x, middle - BAR / 2, width, BAR, colour, 0)}</g>`;
      x += width;
      return drawn;
    });
    const total = `<text class="value" x="${whole - VALUES + 8}" y="${middle}">${number(totalOf(stack))}</text>`;
    return labelAt(WHOLE, stack.label, middle, false) + parts.join("") + total;
  });
  const legend = names
    .map((name, index) => `<span class="key"><i class="part${index % COLOURS}"></i>${escaped(name)}</span>`)
    .join(" ");
  return figure(WHOLE, title, stacks.length, lines.join(""), `<p class="legend">${legend}</p>`);
}

/** Text that may stand in HTML and in attributes. */
export function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

function figure(layout: Layout, title: string, lines: number, content: string, below = ""): string {
  const height = 2 * TOP + lines * LINE;
  return (
    `<figure${layout === WHOLE ? ' class="whole"' : ""}><figcaption>${escaped(title)}</figcaption>` +
    `<svg viewBox="0 0 ${layout.width} ${height}" role="img" aria-label="${escaped(title)}">${content}</svg>${below}</figure>`
  );
}

function labelAt({ labels, longestLabel }: Layout, label: string, middle: number, strong: boolean): string {
  const short = label.length > longestLabel ? `${label.slice(0, longestLabel - 1)}\u2026` : label;
  return `<text class="label${strong ? " strong" : ""}" x="${labels - 10}" y="${middle}">${escaped(short)}</text>`;
}

function rectangle(x: number, y: number, width: number, height: number, colour: string, radius: number): string {
  return `<rect class="${colour}" x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${height}" rx="${radius}"/>`;
}

function stroke(from: number, to: number, y: number): string {
  return `<line class="spread" x1="${from.toFixed(1)}" x2="${to.toFixed(1)}" y1="${y}" y2="${y}"/>`;
}

function tick(x: number, y: number): string {
  return `<line class="tick" x1="${x.toFixed(1)}" x2="${x.toFixed(1)}" y1="${y - BAR / 2}" y2="${y + BAR / 2}"/>`;
}
