/** A line on a terminal that is there for a while. */

/** Time after which a line is shown, in milliseconds. */
export const QUIET_MS = 300;
/** Back to the first column, and all of the line away (ECMA-48: CR, EL). */
export const CLEAR_LINE = "\r\x1b[2K";

/** The part of a terminal that is needed. */
export interface LineStream {
  columns?: number;
  write(text: string): unknown;
}
