/**
 * Why calls or instances of a version are no forks of a template, although they should be: told
 * once for each version.
 */
import type { Version } from "../../functions/model/version.ts";
import { LruMap } from "../../infra/std/lru.ts";
import type { CallLog } from "../outcome/call-log.ts";
import type { Instance } from "./instance.ts";

/** More than anybody deploys; beyond it, what was told is told again. */
const MOST_KNOWN = 10_000;

export interface NoTemplateReasonsOptions {
  /** Keeps the reason for whoever asks about the function. */
  keep(version: Version, noTemplateReason: string): void;
  /** Told for the worker's own log. */
  onFound(message: string): void;
}

export class NoTemplateReasons {
  readonly #options: NoTemplateReasonsOptions;
  readonly #known = new LruMap<string, true>(MOST_KNOWN);

  constructor(options: NoTemplateReasonsOptions) {
    this.#options = options;
  }

  /**
   * Tells why a loaded instance has no template, if there is a reason: the function's log, the
   * registry and the worker's log.
   */
  note(version: Version, { noTemplateReason, servesOnce }: Instance, log: CallLog): void {
    const key = `${version.tenant}/${version.functionName}/${version.version}`;
    if (noTemplateReason === null || this.#known.has(key)) return;
    this.#known.set(key, true);
    const { keep, onFound } = this.#options;
    const who = servesOnce ? "call" : "instance";
    log.say("warn", `Each ${who} loads the module anew instead of having a copy of it, because ${noTemplateReason}.`);
    keep(version, noTemplateReason);
    onFound(`${who}s of ${key} have no template: ${noTemplateReason}`);
  }
}
