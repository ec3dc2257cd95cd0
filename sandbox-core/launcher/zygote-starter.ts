/**
 * Starts the zygotes of a launcher, and lets none serve that its way does not approve of. Where
 * forks die, a launcher may have another way, which takes longer for each sandbox.
 */
import { join } from "node:path";
import type { CgroupDriver } from "../cgroup/driver.ts";
import { weighRoot } from "../cgroup/root-weight.ts";
import type { Program } from "../contract/program.ts";
import { ForksDieError } from "./fork-selftest.ts";
import { Generation } from "./generation.ts";
import type { Receiver } from "./socket-receiver.ts";
import type { WorkLimits } from "./work-limit.ts";

/** How sandboxes get their runtime. */
export interface Way {
  /** Started in each sandbox; without one, sandboxes are forks of the zygote's own runtime. */
  runtime?: Program;
  /** Looks at each zygote before it serves. @throws when it must not, ForksDieError among others */
  approve?: (zygote: Generation) => Promise<void>;
}

/** Another way, for as long as forks die. */
export interface Fallback {
  /** Asked for when it is needed. */
  way: () => Way;
  /** Pause before the launcher's own way is tried again; later pauses grow. */
  retryMs: number;
  /** Told when the launcher takes it, and why. */
  onFallback?: (reason: string) => void;
  /** Told when the launcher's own way is possible again, and taken. */
  onReturn?: () => void;
}

export interface ZygoteStarterOptions {
  nodeFlags: readonly string[];
  uidBase: number;
  uidCount: number;
  /** Forks without any approval unless given. */
  way?: Way;
  fallback?: Fallback;
  /**
   * Its zygote holds no runtime and starts programs alone: it is ready sooner, and `launch` fails.
   */
  programsOnly?: boolean;
  /**
   * Its zygote makes the fork of its next launch ahead, from the second launch on, unless this is
   * false.
   */
  forksAhead?: boolean;
  /**
   * Each zygote with a runtime also has its next sandbox made whole, unless this or `forksAhead` is
   * false.
   */
  sandboxesAhead?: boolean;
  /** Weight of all sandboxes of the machine together; see `weighRoot`. */
  cpuWeight?: number;
  /** The most that a zygote's start may take. */
  startLimits?: WorkLimits;
}

/** The things that all zygotes of a launcher share. */
export interface ZygoteSurroundings {
  cgroups: CgroupDriver;
  directory: string;
  receiver: Receiver;
}

export class ZygoteStarter {
  readonly #options: ZygoteStarterOptions;
  readonly #surroundings: ZygoteSurroundings;
  readonly #way: Way;

  constructor(options: ZygoteStarterOptions, surroundings: ZygoteSurroundings) {
    this.#options = options;
    this.#surroundings = surroundings;
    this.#way = options.way ?? {};
  }

  /** A zygote of the launcher's own way that may serve. @throws SandboxError, or as `approve` */
  start(): Promise<Generation> {
    return this.#start(this.#way);
  }

  /** The same, and of the other way where forks die. */
  async startAny(): Promise<Generation> {
    const { fallback } = this.#options;
    try {
      return await this.start();
    } catch (error) {
      if (!(error instanceof ForksDieError) || fallback === undefined) throw error;
      fallback.onFallback?.(error.message);
      return this.#start(fallback.way());
    }
  }

  /** Whether the zygote is of the other way. */
  isFallback({ runtime }: Generation): boolean {
    return runtime !== this.#way.runtime;
  }

  async #start({ runtime, approve }: Way): Promise<Generation> {
    const { nodeFlags, uidBase, uidCount, programsOnly = false, forksAhead = true, startLimits } = this.#options;
    const { sandboxesAhead = true } = this.#options;
    const { cgroups, directory, receiver } = this.#surroundings;
    const socketPath = join(directory, "worker.sock");
    const holdsRuntime = !(runtime || programsOnly);
    const generation = await Generation.start({
      ...(runtime && { runtime }),
      ...(startLimits && { startLimits }),
      nodeFlags,
      sandboxesAhead: sandboxesAhead && forksAhead && holdsRuntime,
      zygote: { uidBase, uidCount, directory, socketPath, runtime: holdsRuntime, forksAhead },
      receiver,
      cgroups,
    });
    try {
      weighRoot(cgroups, this.#options.cpuWeight);
      await approve?.(generation);
    } catch (error) {
      await generation.stop();
      throw error;
    }
    return generation;
  }
}
