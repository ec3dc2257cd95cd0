/**
 * Log lines for people. Functions write what they like into them, so nothing reaches the terminal
 * unescaped.
 */

import { escapeControls, escapeLine } from "../../../infra/std/escape.ts";
import type { InvocationRecord, LogEntry, LogRecord } from "../../model/record.ts";
import { styled } from "../io.ts";

const LEVEL_STYLES = { debug: "gray", info: "green", warn: "yellow", error: "red" } as const;

/**
 * One line of a log with its line feed: "12:03:04.123 info console text". Further lines of one
 * record are indented.
 */
export function formatLogLine(line: LogEntry, stream: NodeJS.WriteStream): string {
  return "end" in line ? formatEnd(line.end, stream) : formatRecord(line, stream);
}

function formatRecord({ timeMs, level, source, text }: LogRecord, stream: NodeJS.WriteStream): string {
  const style = Object.hasOwn(LEVEL_STYLES, level) ? LEVEL_STYLES[level] : "gray";
  const time = styled(stream, "gray", clock(timeMs));
  const head = `${time} ${styled(stream, style, escapeLine(level).padEnd(5))} ${escapeLine(source).padEnd(8)}`;
  const [first = "", ...rest] = escapeControls(text).replace(/\n$/, "").split("\n");
  return [`${head} ${first}`, ...rest.map((more) => `${" ".repeat(28)}${more}`)].join("\n").concat("\n");
}

function formatEnd(record: InvocationRecord, stream: NodeJS.WriteStream): string {
  const { outcome, error, timing, start, cpuMs, peakMemoryBytes } = record;
  const facts = [
    start === undefined ? "not run" : `${start} start`,
    `${(timing.queueMs + timing.sandboxMs + timing.initMs + timing.handlerMs).toFixed(1)} ms`,
    `cpu ${cpuMs.toFixed(1)} ms`,
    `peak ${(peakMemoryBytes / 1024 / 1024).toFixed(1)} MiB`,
  ].join(", ");
  const verdict = styled(stream, outcome === "ok" ? "green" : "red", outcome);
  const why = error ? `: ${escapeLine(error.message)}` : "";
  const time = styled(stream, "gray", clock(record.endedAtMs));
  return `${time} ${"end".padEnd(14)} ${verdict}${why} ${styled(stream, "gray", `(${facts}) ${escapeLine(record.id)}`)}\n`;
}

/** The time of day here, to the millisecond. */
export function clock(timeMs: number): string {
  const date = new Date(timeMs);
  if (Number.isNaN(date.getTime())) return "--:--:--.---";
  const two = (value: number) => String(value).padStart(2, "0");
  const milliseconds = String(date.getMilliseconds()).padStart(3, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${milliseconds}`;
}
