/**
 * The parts of its process that a command may touch, so that nothing below main.ts reaches for
 * globals.
 */
import { styleText } from "node:util";

export interface Io {
  env: Readonly<Record<string, string | undefined>>;
  cwd: string;
  stdin: NodeJS.ReadStream & { fd: number };
  stdout: NodeJS.WriteStream;
  stderr: NodeJS.WriteStream;
  /** Aborted by Ctrl-C or SIGTERM. */
  interrupted: AbortSignal;
}

/** Whether output is for a program (`--json`) or for a person. */
export interface OutputOptions {
  json?: boolean;
}

type Style = Parameters<typeof styleText>[0];

/**
 * The text in that style if the stream is a terminal that wants colours (NO_COLOR and FORCE_COLOR
 * are honoured).
 */
export function styled(stream: NodeJS.WriteStream, style: Style, text: string): string {
  return styleText(style, text, { stream });
}

/** One line to stderr for a person: progress, warnings, what to do next. */
export function say(io: Io, text: string): void {
  io.stderr.write(`${text}\n`);
}

/** The result as one JSON document on stdout. */
export function printJson(io: Io, value: unknown): void {
  io.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** Columns of the terminal behind a stream; 80 when there is none. */
export function columnsOf(stream: NodeJS.WriteStream): number {
  return stream.isTTY && stream.columns > 0 ? stream.columns : 80;
}

/**
 * Whether the locale says that text is UTF-8, as locale(7) reads it: LC_ALL, then LC_CTYPE, then
 * LANG.
 */
export function isUtf8(env: Io["env"]): boolean {
  return /utf-?8/i.test(env.LC_ALL || env.LC_CTYPE || env.LANG || "");
}
