/**
 * Tells a function's author why names are not found: a sandbox has no network, and its errors read
 * as if a name server had failed.
 */
import type { CallLog } from "../outcome/call-log.ts";

/** Codes of getaddrinfo(3) and connect(2) where there is nothing to connect to. */
const UNREACHABLE = /\b(?:ENOTFOUND|EAI_AGAIN|ENETUNREACH)\b/;

/** The line, which is true of every sandbox today. */
const NO_NETWORK =
  "A sandbox has no network: no name is found and no address outside of it can be reached. " +
  "Bundle the data that the function needs, or send it with the request.";

/** Says it once, for an instance and for all forks of a template together. */
export class NetworkHint {
  #isGiven = false;

  /** Looks at what a function wrote to that log, or failed with. */
  look(text: string, log: CallLog): void {
    if (this.#isGiven || !UNREACHABLE.test(text)) return;
    this.#isGiven = true;
    log.say("warn", NO_NETWORK);
  }
}
