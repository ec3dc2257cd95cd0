/**
 * An instance before its first call: its runtime gets ready, then the version is loaded, or renews
 * in a fork what is its own. A loaded instance may become a template. What the sandbox says of that
 * is heard here.
 */
import { type Failure, ProtocolError } from "../../sandbox-core/protocol/frames.ts";
import type { CallFailure } from "../outcome/outcome.ts";

type Stage = "blank" | "loading" | "loaded" | "template";

/** Codes of failures of the function's own code before its first call. */
export const PREPARATION_FAILURES = { load: "FUNCTION_LOAD_FAILED", restore: "FUNCTION_RESTORE_FAILED" } as const;

export class Preparation {
  readonly #ready = Promise.withResolvers<void>();
  readonly #loaded = Promise.withResolvers<Failure | null>();
  readonly #templated = Promise.withResolvers<string | null>();
  #stage: Stage = "blank";

  constructor() {
    for (const { promise } of [this.#ready, this.#loaded, this.#templated]) promise.catch(() => {});
  }

  /** Whether nothing of the version has run to its end yet. */
  get isUnderWay(): boolean {
    return this.#stage === "blank" || this.#stage === "loading";
  }

  /** Resolves when the runtime can take a version. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Expects the end of loading. */
  beginLoading(): void {
    this.#stage = "loading";
  }

  /** Resolves when loading is over: with null, or with what the function's code failed with. */
  get loaded(): Promise<Failure | null> {
    return this.#loaded.promise;
  }

  /** Expects the instance to become a template; resolves with why it did not, or null. */
  async becomeTemplate(): Promise<string | null> {
    this.#stage = "template";
    const reason = await this.#templated.promise;
    if (reason !== null) this.#stage = "loaded";
    return reason;
  }

  /** @throws ProtocolError when the message may not come now, as all that hear */
  hearReady(): void {
    if (this.#stage !== "blank") throw new ProtocolError("It was ready before.");
    this.#ready.resolve();
  }

  hearLoaded(failure: Failure | null): void {
    if (this.#stage !== "loading") throw new ProtocolError("Nothing was being loaded.");
    this.#stage = "loaded";
    this.#loaded.resolve(failure);
  }

  hearTemplated(noTemplateReason: string | null): void {
    // The second of two changes nothing.
    if (this.#stage !== "template") throw new ProtocolError("It was not asked to be a template.");
    this.#templated.resolve(noTemplateReason);
  }

  /** Fails whoever waits. */
  fail(failure: CallFailure): void {
    this.#ready.reject(failure);
    this.#loaded.reject(failure);
    this.#templated.reject(failure);
  }
}
