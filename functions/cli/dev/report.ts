/** Reports of `sandpiper dev`: to people on a terminal, or to tools as a JSON object a line. */
import { formatBytes } from "../../../infra/std/bytes.ts";
import { escapeControls, escapeLine } from "../../../infra/std/escape.ts";
import type { Deployed } from "../../api/schemas.ts";
import type { InvocationRecord, LogRecord } from "../../model/record.ts";
import { type Io, say, styled } from "../io.ts";
import { clock, formatLogLine } from "../show/log-lines.ts";
import type { SeenRequest } from "./call-stories.ts";
import type { DevFailure } from "./failure.ts";

/** A version that is served from now on. */
export interface Live {
  version: string;
  /** Since the change that it is there for. */
  tookMs: number;
  bundleBytes: number;
  /** The handler that was found, in words. */
  handler: string | null;
  warnings: string[];
  /** Rules of `egress` that are new, and that are gone. */
  egress: Deployed["egress"];
  /** Paths of the changed files that were noticed. */
  changed: string[];
}

export interface Started {
  /** The front's. */
  url: string;
  /** The name that the function has at the gateway. */
  name: string;
  gateway: string;
}

export interface Report {
  started(started: Started): void;
  live(live: Live): void;
  /** Files changed, and what they make is what is served already. */
  unchanged(): void;
  failed(failure: DevFailure): void;
  logged(line: LogRecord): void;
  /** A call's end, its request if it came through the front, its source line if it failed. */
  called(end: InvocationRecord, request: SeenRequest | null, source: string | null): void;
  refused(request: SeenRequest & { reason: string }): void;
  note(text: string): void;
}

/** For tools: one JSON object a line, each with the field `event`. */
export function jsonReport({ stdout }: Io): Report {
  const tell = (event: string, facts: object) => stdout.write(`${JSON.stringify({ event, ...facts })}\n`);
  return {
    started: (started) => tell("started", started),
    live: (live) => tell("live", live),
    unchanged: () => tell("unchanged", {}),
    failed: ({ mayPass: _, ...failure }) => tell("failed", failure),
    logged: (line) => tell("log", line),
    called: (end, request, source) => tell("call", { request, source, ...end }),
    refused: (request) => tell("refused", request),
    note: (message) => tell("note", { message }),
  };
}

const SHOWN_FILES = 3;

/** For people: the URL alone on stdout, all else on stderr. */
export function terminalReport(io: Io, onTerminal: { keys: boolean }): Report {
  const { stderr } = io;
  const tell = (style: Parameters<typeof styled>[1], word: string, text: string) =>
    say(io, `${styled(stderr, "gray", clock(Date.now()))} ${styled(stderr, style, word.padEnd(6))} ${text}`);
  return {
    started({ url, name, gateway }) {
      io.stdout.write(`${escapeLine(url)}\n`);
      say(io, `It is the function ${name} of ${escapeLine(gateway)}, and ends with this command.`);
      if (onTerminal.keys) say(io, styled(stderr, "gray", "Keys: r restarts it, o opens it, c clears, q quits."));
    },
    live({ version, tookMs, bundleBytes, handler, warnings, egress, changed }) {
      for (const warning of warnings) tell("yellow", "warns", escapeControls(warning.trimEnd()));
      for (const rule of egress.added) tell("cyan", "egress", escapeLine(`+ ${rule}`));
      for (const rule of egress.removed) tell("cyan", "egress", escapeLine(`- ${rule}`));
      const facts = [
        `${Math.round(tookMs)} ms`,
        formatBytes(bundleBytes),
        handler ?? `version ${version.slice(0, 12)}`,
      ];
      tell("green", "live", escapeLine(`${facts.join(", ")}${changedText(changed)}`));
    },
    unchanged: () => tell("green", "live", "as before"),
    failed({ title, message, source, hint }) {
      tell("red", "failed", title);
      say(io, indented(escapeControls(message)));
      if (source !== undefined) say(io, indented(source));
      if (hint !== undefined) say(io, `  ${styled(stderr, "cyan", "hint:")} ${escapeControls(hint)}`);
    },
    logged: (line) => void stderr.write(formatLogLine(line, stderr)),
    called(end, request, source) {
      const isOk = end.outcome === "ok";
      const text = callText(end, request);
      tell(isOk ? "cyan" : "red", "call", isOk ? text : styled(stderr, "red", text));
      if (source !== null) say(io, indented(source));
    },
    refused: ({ method, path, status, reason }) =>
      tell("yellow", "call", escapeLine(`${status} ${method} ${path}  ${reason}`)),
    note: (text) => tell("cyan", "note", escapeControls(text)),
  };
}

function changedText(changed: readonly string[]): string {
  if (changed.length === 0) return "";
  const more = changed.length > SHOWN_FILES ? ` and ${changed.length - SHOWN_FILES} more` : "";
  return `  ${changed.slice(0, SHOWN_FILES).join(", ")}${more}`;
}

function callText(
  { outcome, error, start, timing, status, id }: InvocationRecord,
  request: SeenRequest | null,
): string {
  const asked = request === null ? `${status} by another way` : `${request.status} ${request.method} ${request.path}`;
  const ms = timing.queueMs + timing.sandboxMs + timing.initMs + timing.handlerMs;
  const facts = `(${ms.toFixed(1)} ms${start === undefined ? "" : `, ${start}`})`;
  const why = outcome === "ok" ? "" : `  ${outcome}: ${error?.message ?? ""} ${id}`;
  return escapeLine(`${asked}  ${facts}${why}`);
}

function indented(text: string): string {
  return text
    .split("\n")
    .map((line) => `  ${line}`)
    .join("\n");
}
