/**
 * Log lines of Sandpiper's own processes: JSON when piped, for people on a terminal. Written to
 * standard error, so that standard output stays what a command promises.
 */
import { LineSink } from "./line-sink.ts";
import { type LogFields, STORM_LIMITS, type StormLimits, Storms } from "./log-storms.ts";
import { escapeJson, escapeLine } from "./std/escape.ts";

const LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LEVELS)[number];

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger that adds these fields to every line. */
  child(fields: LogFields): Logger;
}

export interface LoggerOptions {
  /** Which process speaks: "gateway", "worker". */
  service: string;
  /** Lines below it are dropped; default `SANDPIPER_LOG_LEVEL`, else info. */
  level?: LogLevel;
  /** For people rather than for machines; default: when standard error is a terminal. */
  human?: boolean;
  /** When lines like each other are counted rather than written; null: never. */
  storms?: StormLimits | null;
  write?: (line: string) => void;
  now?: () => Date;
}

/** Fields with such names are never written out. */
const SECRET_NAME = /secret|password|passwd|token|authorization|cookie|api-?_?key$/i;
/** Longest text in one field; what a tenant or a client sent may be long. */
const MAX_TEXT_LENGTH = 8_192;
/** Most items of one list or object, and how deep they may nest. */
const MAX_ITEMS = 100;
const MAX_DEPTH = 4;

/** A logger for one process. Logging never throws. */
export function createLogger(options: LoggerOptions): Logger {
  const threshold = LEVELS.indexOf(options.level ?? levelOf(process.env.SANDPIPER_LOG_LEVEL));
  const human = options.human ?? process.stderr.isTTY === true;
  const write =
    options.write ?? ownSink((lines) => put("warn", "lines were lost here: nobody read the log", { lines }));
  const now = options.now ?? (() => new Date());

  const { storms: limits = STORM_LIMITS } = options;
  const storms =
    limits === null ? null : new Storms<LogLevel>(limits, (line) => put(line.level, line.message, line.fields));

  function put(level: LogLevel, message: string, fields: LogFields): void {
    const time = now().toISOString();
    const shown = presentable(fields);
    write(
      human
        ? humanLine(time, level, options.service, message, shown)
        : jsonLine({ time, level, service: options.service, message: shorten(message), ...shown }),
    );
  }

  function make(inherited: LogFields): Logger {
    const at =
      (level: LogLevel) =>
      (message: string, given: LogFields = {}) => {
        if (LEVELS.indexOf(level) < threshold) return;
        const fields = { ...inherited, ...given };
        // Whoever asks for debugging wants every line.
        if (level !== "debug" && storms?.admit({ level, message, fields }) === false) return;
        put(level, message, fields);
      };
    return {
      debug: at("debug"),
      info: at("info"),
      warn: at("warn"),
      error: at("error"),
      child: (fields) => make({ ...inherited, ...fields }),
    };
  }
  return make({});
}

/** One for all loggers: a line that is half written must not have another's in its middle. */
let standardError: LineSink | null = null;

function ownSink(onLost: (lines: number) => void): (line: string) => void {
  standardError ??= new LineSink(2, onLost);
  const sink = standardError;
  return (line) => sink.write(line);
}

function levelOf(text: string | undefined): LogLevel {
  return LEVELS.find((level) => level === text) ?? "info";
}

/**
 * JSON escapes C0 controls by itself; a terminal that shows the line must not meet the others
 * either.
 */
function jsonLine(record: Record<string, unknown>): string {
  return `${escapeJson(JSON.stringify(record))}\n`;
}

function humanLine(time: string, level: LogLevel, service: string, message: string, fields: LogFields): string {
  const rest = Object.entries(fields).map(([name, value]) => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return ` ${escapeLine(name)}=${escapeLine(text)}`;
  });
  return `${time.slice(11, 23)} ${level.padEnd(5)} ${service}: ${escapeLine(shorten(message))}${rest.join("")}\n`;
}

/**
 * The fields as plain JSON values: secrets masked, errors spelled out, long text cut, undefined
 * left out.
 */
function presentable(fields: LogFields, depth = 0): Record<string, unknown> {
  const shown: Record<string, unknown> = Object.create(null);
  for (const [name, value] of Object.entries(fields).slice(0, MAX_ITEMS)) {
    if (value !== undefined) shown[name] = SECRET_NAME.test(name) ? "***" : presentableValue(value, depth);
  }
  return shown;
}

function presentableValue(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case "string":
      return shorten(value);
    case "bigint":
      return String(value);
    case "object":
      return value === null ? null : presentableObject(value, depth + 1);
    case "function":
    case "symbol":
      return `[${typeof value}]`;
    default:
      return value;
  }
}

function presentableObject(value: object, depth: number): unknown {
  if (depth > MAX_DEPTH) return "[...]";
  if (value instanceof Error) return presentableError(value, depth);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "[invalid date]" : value.toISOString();
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) return value.slice(0, MAX_ITEMS).map((item) => presentableValue(item, depth));
  return presentable(value as LogFields, depth);
}

function presentableError(error: Error, depth: number): Record<string, unknown> {
  return {
    name: error.name,
    message: shorten(error.message),
    ...("code" in error && { code: presentableValue(error.code, depth) }),
    ...(error.stack && { stack: shorten(error.stack) }),
    ...(error.cause !== undefined && { cause: presentableValue(error.cause, depth) }),
  };
}

function shorten(text: string): string {
  return text.length <= MAX_TEXT_LENGTH ? text : `${text.slice(0, MAX_TEXT_LENGTH)}... (${text.length} characters)`;
}
