/**
 * Every sandbox of this worker, from the moment a place is taken for it until the kernel has let go
 * of it.
 */

import { MIB } from "../../infra/std/bytes.ts";
import type {
  EgressSockets,
  ForkableSandbox,
  Launcher,
  Sandbox,
  SandboxExit,
  SandboxLimits,
} from "../../sandbox-core/index.ts";
import type { Capacity } from "./capacity.ts";
import type { ZygoteKey } from "./zygote-key.ts";
import type { Zygotes } from "./zygotes.ts";

/**
 * A killed sandbox is gone within milliseconds; after this long its place is given back whatever
 * the kernel says.
 */
const LONGEST_END_MS = 10_000;

/** A sandbox in its place; a fork of a template has one of its own. */
export interface Place<Kind extends Sandbox = Sandbox> {
  readonly sandbox: Kind;
  readonly zygote: ZygoteKey;
  /** True from the moment that it was told to end, or ended by itself. */
  ending: boolean;
}

export interface PlacesOptions {
  capacity: Capacity;
  zygotes: Zygotes;
  limitsOf(memoryMiB: number): SandboxLimits;
  /** Called once for each place when its sandbox has ended and its place is free again. */
  onGone(place: Place, exit: SandboxExit | null): void;
  onStuck(message: string): void;
  /** Told of each blank sandbox that was made, and how long that took. */
  onLaunched?: ((tookMs: number) => void) | undefined;
}

/** Opens and ends sandboxes and keeps the worker's capacity true to what exists. */
export class Places {
  readonly #options: PlacesOptions;
  readonly #all = new Set<Place>();

  constructor(options: PlacesOptions) {
    this.#options = options;
  }

  /**
   * Takes a place for a sandbox of that class; false when there is none. Whoever took it must
   * `open` it.
   */
  reserve(memoryMiB: number): boolean {
    return this.#options.capacity.take(memoryMiB * MIB);
  }

  /** Whether a place will be free once every place that is ending has ended. */
  willFit(memoryMiB: number): boolean {
    return this.#options.capacity.willFit(memoryMiB * MIB);
  }

  /** Gives back a place that was reserved and is not needed. */
  giveBack(memoryMiB: number): void {
    this.#options.capacity.give(memoryMiB * MIB, false);
  }

  /**
   * Makes a blank sandbox in a place that was reserved; gives the place back when it throws, as
   * `launch` does.
   * @param egressOf the sockets that are made with it
   */
  open(zygote: ZygoteKey, egressOf?: () => Promise<EgressSockets | undefined>): Promise<Place<ForkableSandbox>> {
    const limits = this.#options.limitsOf(zygote.memoryMiB);
    return this.adopt(zygote, async () => {
      const egress = await egressOf?.();
      return this.#options.zygotes.use(zygote, (launcher) => this.#launch(launcher, limits, egress));
    });
  }

  async #launch(launcher: Launcher, limits: SandboxLimits, egress?: EgressSockets): Promise<ForkableSandbox> {
    const beganAtMs = performance.now();
    const sandbox = await launcher.launch(limits, egress);
    this.#options.onLaunched?.(performance.now() - beganAtMs);
    return sandbox;
  }

  /** Memory of all of them now, read from their control groups. */
  memoryBytes(): number {
    let bytes = 0;
    for (const { sandbox } of this.#all) bytes += sandbox.stats()?.memoryBytes ?? 0;
    return bytes;
  }

  /** The same of whatever `make` gives. */
  async adopt<Kind extends Sandbox>(zygote: ZygoteKey, make: () => Promise<Kind>): Promise<Place<Kind>> {
    try {
      const place: Place<Kind> = { sandbox: await make(), zygote, ending: false };
      this.#all.add(place);
      void place.sandbox.exited.then((exit) => this.#gone(place, exit));
      return place;
    } catch (error) {
      this.giveBack(zygote.memoryMiB);
      throw error;
    }
  }

  /** Ends a sandbox now; `onGone` follows within a bounded time. Idempotent. */
  end(place: Place, reason: string): void {
    if (place.ending || !this.#all.has(place)) return;
    place.ending = true;
    this.#options.capacity.leaving(place.zygote.memoryMiB * MIB);
    place.sandbox.kill(reason);
    const timer = setTimeout(() => this.#stuck(place), LONGEST_END_MS);
    void place.sandbox.exited.then(() => clearTimeout(timer));
  }

  /** Ends all of them; resolves when they are gone. */
  async endAll(reason: string): Promise<void> {
    for (const place of this.#all) this.end(place, reason);
    await Promise.all(Array.from(this.#all, (place) => place.sandbox.exited));
  }

  /** Whether there is one of this zygote of which that holds. */
  some(zygote: ZygoteKey, holds: (place: Place) => boolean): boolean {
    for (const place of this.#all) if (place.zygote.key === zygote.key && holds(place)) return true;
    return false;
  }

  #stuck(place: Place): void {
    this.#options.onStuck(`sandbox ${place.sandbox.id} was killed ${LONGEST_END_MS} ms ago and has not ended`);
    this.#gone(place, null);
  }

  #gone(place: Place, exit: SandboxExit | null): void {
    if (!this.#all.delete(place)) return;
    this.#options.capacity.give(place.zygote.memoryMiB * MIB, place.ending);
    place.ending = true;
    this.#options.onGone(place, exit);
  }
}
