/**
 * How the CLI fails: kinds of failure, the exit code of each, and the one error class that carries
 * them.
 */

/** The exit codes, one for each kind of failure. `--help` and docs/CLI.md print this table. */
export const EXIT_CODES = {
  ok: { code: 0, meaning: "it worked" },
  internal: { code: 1, meaning: "something else went wrong" },
  usage: { code: 2, meaning: "the command line is wrong" },
  config: { code: 3, meaning: "sandpiper.jsonc, or the files it speaks of, are wrong or too large" },
  build: { code: 4, meaning: "the function does not build, or does not load" },
  auth: { code: 5, meaning: "no API key, or the gateway refuses it" },
  notFound: { code: 6, meaning: "no such function, secret, invocation or trace" },
  unavailable: { code: 7, meaning: "no gateway is known, or it cannot be reached or cannot answer now" },
  function: { code: 8, meaning: "the function ran and failed: error, timeout, out of memory, killed" },
} as const;

export type FailureKind = Exclude<keyof typeof EXIT_CODES, "ok">;

export interface FailureDetails {
  /** Stable and for programs: upper case. An answer of the gateway keeps the gateway's code. */
  code: string;
  /** Advice: how to mend it, if that is known. */
  hint?: string;
  requestId?: string;
  cause?: unknown;
}

/**
 * A failure that the user can do something about: printed without a stack trace, with the exit code
 * of its kind.
 */
export class CliError extends Error {
  readonly kind: FailureKind;
  readonly code: string;
  readonly hint: string | undefined;
  readonly requestId: string | undefined;

  constructor(kind: FailureKind, message: string, details: FailureDetails) {
    super(message, { cause: details.cause });
    this.name = "CliError";
    this.kind = kind;
    this.code = details.code;
    this.hint = details.hint;
    this.requestId = details.requestId;
  }

  get exitCode(): number {
    return EXIT_CODES[this.kind].code;
  }
}

/** The text of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The system error's code of anything thrown ("ENOENT"), if it has one. */
export function systemCodeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
