/** Follows a function's log for as long as it is served, over interruptions. */
import { setTimeout as wait } from "node:timers/promises";
import { backoffMs } from "../../../infra/std/time.ts";
import type { LogEntry } from "../../model/record.ts";
import type { Gateway } from "../client/gateway.ts";
import type { CallStories } from "./call-stories.ts";
import type { Report } from "./report.ts";
import { type SourceFiles, sourceOf } from "./stack-source.ts";

const RETRIES = { firstMs: 200, longestMs: 5_000 };
/** Longest wait for the front to know a call's request: its answer is on its way. */
const REQUEST_WAIT_MS = 200;

export interface FollowedLog {
  gateway: Gateway;
  name: string;
  /** Unix time in milliseconds; what was logged before is not told. */
  sinceMs: number;
  closing: AbortSignal;
  stories: CallStories;
  sources(): SourceFiles;
  report: Report;
}

/** Tells of everything that is logged, until `closing` aborts. Never rejects. */
export async function followLog({ gateway, name, closing, stories, sources, report, ...log }: FollowedLog) {
  let { sinceMs } = log;
  for (let attempt = 1; !closing.aborted; attempt++) {
    try {
      for await (const entry of gateway.logs(name, { follow: "1", since: String(sinceMs) }, closing)) {
        attempt = 1;
        sinceMs = timeOf(entry) + 1;
        await tell(entry, stories, sources(), report);
      }
    } catch {
      // The gateway is away, which is told elsewhere, or the function expired and comes again.
    }
    if (!closing.aborted) await wait(backoffMs(attempt, RETRIES), undefined, { signal: closing }).catch(() => {});
  }
}

async function tell(entry: LogEntry, stories: CallStories, sources: SourceFiles, report: Report): Promise<void> {
  if (!("end" in entry)) {
    stories.logged(entry);
    return report.logged(entry);
  }
  stories.ended(entry.end);
  const { request, lines } = await stories.whenSeen(entry.end.id, REQUEST_WAIT_MS);
  const errors = lines.filter(({ level }) => level === "error").map(({ text }) => text);
  const source = entry.end.outcome === "ok" ? null : sourceOf(errors.join("\n"), sources);
  report.called(entry.end, request, source);
}

function timeOf(entry: LogEntry): number {
  return "end" in entry ? entry.end.endedAtMs : entry.timeMs;
}
