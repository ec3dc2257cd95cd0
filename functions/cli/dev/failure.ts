/** Why the function as it is now is not served, for people and for programs. */
import { CliError, messageOf } from "../failure.ts";
import { type SourceFiles, sourceOf } from "./stack-source.ts";

export interface DevFailure {
  /** One of errors.ts, or of the command line: "BUILD_FAILED". */
  code: string;
  /** A short sentence on what is wrong. */
  title: string;
  /** All that is known: for a build the bundler's own words. */
  message: string;
  hint?: string;
  /** The first line of the function's own that a stack trace in the message names. */
  source?: string;
  /** Whether it may go away by itself. */
  mayPass: boolean;
}

const TITLES: Readonly<Record<string, string>> = {
  BUILD_FAILED: "The function does not build",
  CHECK_FAILED: "The function does not load",
  CONFIG_INVALID: "sandpiper.jsonc is not right",
  CONFIG_MISSING: "There is no sandpiper.jsonc",
  GATEWAY_UNREACHABLE: "The gateway cannot be reached",
};

/**
 * Anything that was thrown while the function was read, built or deployed.
 * @param sources the files that were deployed then, for what did not load.
 */
export function devFailure(error: unknown, sources?: SourceFiles): DevFailure {
  if (!(error instanceof CliError)) {
    const message = error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
    return { code: "INTERNAL", title: "Something went wrong in sandpiper dev", message, mayPass: false };
  }
  const { kind, code, message, hint } = error;
  const source = code === "CHECK_FAILED" && sources !== undefined ? sourceOf(message, sources) : null;
  const fallback = kind === "unavailable" ? "The function cannot be deployed now" : "The function cannot be deployed";
  return {
    code,
    title: TITLES[code] ?? fallback,
    message,
    ...(hint !== undefined && { hint }),
    ...(source !== null && { source }),
    mayPass: kind === "unavailable",
  };
}
