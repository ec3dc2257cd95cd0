/** Rows of text in aligned columns. */
import { escapeLine } from "../../../infra/std/escape.ts";

/** Lines of rows with their columns aligned; what functions wrote is escaped. */
export function table(rows: readonly string[][]): string[] {
  const cells = rows.map((row) => row.map(escapeLine));
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
