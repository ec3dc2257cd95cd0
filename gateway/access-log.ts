/** A line for each call that did not end well, or for every call. */
import type { Config } from "../infra/config.ts";
import type { Logger } from "../infra/log.ts";
import { type EndedCall, endedHere } from "./call/watched-call.ts";

/** Longest path in a line. */
const MAX_PATH_LENGTH = 256;

/** Writes the lines of calls. @param log shows lines of the level "info" where all calls get one */
export function accessLog(mode: Config["accessLog"], log: Logger): (call: EndedCall) => void {
  if (mode === "off") return () => {};
  return (call) => {
    const isFailed = endedBadly(call);
    if (!isFailed && mode !== "all") return;
    // A client that leaves is nobody's fault.
    const level = isFailed && call.error?.code !== "CLIENT_GONE" ? "warn" : "info";
    log[level](isFailed ? "a call failed" : "a call ended", fieldsOf(call));
  };
}

/**
 * Whether a call was to run and gave no answer of its function's, or one that says that the
 * function failed. Requests that name no function, or break a rule, are answered and forgotten.
 */
function endedBadly(call: EndedCall): boolean {
  return call.status >= 500 || endedHere(call) || (call.error !== null && call.invocation !== null);
}

function fieldsOf({ id, named, invocation, method, path, status, outcome, error, tookMs, address }: EndedCall) {
  const name = named === null ? undefined : `${named.tenant}/${named.functionName}`;
  return {
    requestId: id,
    // Lines of each function are counted apart, and not those of each name that clients think of.
    ...(invocation === null ? { asked: name } : { function: name }),
    version: invocation?.version.slice(0, 12),
    status,
    outcome: outcome ?? undefined,
    code: error?.code,
    reason: error?.message,
    ms: Math.round(tookMs * 10) / 10,
    method,
    path: path.slice(0, MAX_PATH_LENGTH),
    client: address,
  };
}
