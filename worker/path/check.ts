/**
 * The check of a version that is to go live: it is loaded as a call would have it loaded, in a
 * sandbox of the pool, with its environment and within the same limits. The instance then waits for
 * the version's first call.
 */
import { CHECK_LIMIT_MS, type CheckRequest, type CheckResult } from "../../functions/model/check.ts";
import type { LogRecord } from "../../functions/model/invocation.ts";
import { CallLog } from "../outcome/call-log.ts";
import { CallFailure, LoadFailure } from "../outcome/outcome.ts";
import type { Parts } from "./context.ts";
import { writeLog } from "./record.ts";

/** A gateway that waits no longer needs no instance; some time is for the way back. */
const EXPIRES_MS = CHECK_LIMIT_MS - 10_000;
/** How much of what a version logged while it was loaded is told. */
const MOST_LINES = 20;
const MAX_LINE_LENGTH = 500;

type CheckParts = Pick<Parts, "bundles" | "pool" | "redis" | "onTrouble">;

/** Loads a version. Never rejects for what the function does: that is a result. */
export async function checkVersion(parts: CheckParts, ref: CheckRequest): Promise<CheckResult> {
  const records: LogRecord[] = [];
  const log = new CallLog(null, (more) => void records.push(...more));
  let entry = "";
  try {
    const loadable = await parts.bundles.get(ref);
    entry = loadable.version.entry;
    const expiresAtMs = Date.now() + EXPIRES_MS;
    const lease = await parts.pool.acquire({ ...loadable, expiresAtMs, mayShare: false, log });
    const { found } = lease.instance;
    lease.release();
    log.flush();
    writeLog(parts, ref, records);
    return { ok: true, found: found ?? { handler: "found", warnings: [] } };
  } catch (error) {
    log.flush();
    if (!(error instanceof CallFailure)) parts.onTrouble("a version could not be checked", error);
    return failed(CallFailure.from(error), records, entry);
  }
}

function failed(failure: CallFailure, records: readonly LogRecord[], entry: string): CheckResult {
  const { outcome, message } = failure;
  if (outcome === "platform_error") return { ok: false, cause: "machine", message: unchecked(message) };
  const thrown = failure instanceof LoadFailure ? failure.thrown : null;
  const what = thrown === null ? message : toldFailure(failure as LoadFailure, entry);
  const logged = toldLines(records.filter(({ text }) => text !== thrown));
  const said = logged.length === 0 ? "" : `\nIt had logged:\n${logged.join("\n")}`;
  return { ok: false, cause: "function", message: `${what}${said}\nThe version was not deployed.` };
}

function toldFailure({ isOfCode, thrown }: LoadFailure, entry: string): string {
  return isOfCode ? `${entry} failed while it was loaded:\n${indented(thrown)}` : thrown;
}

/** Whoever deploys made no call. */
function unchecked(message: string): string {
  const what = message.replace(/ (?:Call|Try) again[^.]*\.$/, "");
  return `The version could not be checked, which says nothing about it. ${what} Deploy again.`;
}

function toldLines(records: readonly LogRecord[]): string[] {
  const lines = records.flatMap(({ text }) => text.split("\n"));
  const told = lines.slice(0, MOST_LINES).map((line) => `  ${line.slice(0, MAX_LINE_LENGTH)}`);
  return lines.length > told.length ? [...told, `  ... and ${lines.length - told.length} more`] : told;
}

/** The text without the frames of Node's own files, which say nothing to a tenant. */
function indented(text: string): string {
  const lines = text.split("\n").filter((line) => !/^\s+at .*\bnode:internal\//.test(line));
  return lines.map((line) => `  ${line}`).join("\n");
}
