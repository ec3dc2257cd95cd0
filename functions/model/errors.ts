/** Failures that clients hear of, by the codes of the one table of them. */
import { ERRORS } from "./error-table.ts";

export type ErrorCode = keyof typeof ERRORS;

/** Whether a text is one of the table's codes. */
export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERRORS, text);
}

/** HTTP status for a code; 500 for a text that is no code. */
export function statusOf(code: string): number {
  return isErrorCode(code) ? ERRORS[code].status : ERRORS.INTERNAL.status;
}

export interface SandpiperErrorOptions {
  /** The fault and its place; by default the table's sentence. */
  message?: string;
  /** Facts for logs. They are not shown to clients, and hold no secrets. */
  details?: Readonly<Record<string, unknown>>;
  cause?: unknown;
  /** The quota that is reached. */
  quota?: ReachedQuota;
  /** After how many seconds it may be tried again, where that is known better than by the code. */
  retryAfterSeconds?: number | undefined;
}

/** A quota that is reached: its name, its value, and how much is used. */
export interface ReachedQuota {
  name: string;
  limit: number;
  used: number;
}

/** A failure with a code out of the table. Its message is fit for clients to read. */
export class SandpiperError extends Error {
  override readonly name = "SandpiperError";
  readonly code: ErrorCode;
  readonly status: number;
  readonly details: Readonly<Record<string, unknown>>;
  readonly quota: ReachedQuota | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(code: ErrorCode, options: SandpiperErrorOptions = {}) {
    super(options.message ?? ERRORS[code].message, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.status = ERRORS[code].status;
    this.details = options.details ?? {};
    this.quota = options.quota;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

/** The body that tells a client of an error. */
export interface ErrorBody {
  error: { code: string; message: string; requestId: string; quota?: ReachedQuota };
}

/** An error as it is told. */
export interface ToldError {
  code: string;
  message: string;
  thrown?: object | undefined;
  quota?: ReachedQuota | undefined;
  retryAfterSeconds?: number | undefined;
}

/**
 * The public body of an error: its code, its message and the id that finds it in logs; the quota
 * that is reached; and beside it what a function threw, where that may be told.
 */
export function errorBody({ code, message, thrown, quota }: ToldError, requestId: string): ErrorBody {
  return { error: { code, message, requestId, ...(quota && { quota }) }, ...thrown };
}
