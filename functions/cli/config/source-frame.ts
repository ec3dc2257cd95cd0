/**
 * A place in a text as people read it: line, column, and the line itself with a caret under what is
 * meant.
 */
import { escapeLine } from "../../../infra/std/escape.ts";

/** Line and column, both from 1, of an offset in UTF-16 units. */
export function lineAndColumn(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset).split("\n");
  return { line: before.length, column: (before.at(-1) ?? "").length + 1 };
}

const CONTEXT_COLUMNS = 100;

/**
 * The source line with carets under `length` characters from `offset`:
 *
 *     3 |   "memory": 128,
 *       |   ^^^^^^^^
 */
export function sourceFrame(text: string, offset: number, length: number): string {
  const { line, column } = lineAndColumn(text, offset);
  const whole = (text.split("\n")[line - 1] ?? "").replace(/\r$/, "");
  // A long line is shown around its caret.
  const from = Math.max(0, column - 1 - CONTEXT_COLUMNS / 2);
  const shown = whole.slice(from, from + CONTEXT_COLUMNS);
  const start = column - 1 - from;
  const marked = Math.max(1, Math.min(length, shown.length - start));
  const before = escapeLine(shown.slice(0, start));
  const width = escapeLine(shown.slice(start, start + marked)).length || 1;
  const gutter = String(line);
  return [
    `  ${gutter} | ${escapeLine(shown)}`,
    `  ${" ".repeat(gutter.length)} | ${" ".repeat(before.length)}${"^".repeat(width)}`,
  ].join("\n");
}
