/**
 * This folder runs in whoever holds sandboxes: a worker, a box, a user of the library. The process
 * has secrets: environments of functions, connections to Redis. No code of the zygote's, of a
 * fork's or of a sandbox's is imported here, and nothing that comes from a sandbox is believed.
 *
 * A launcher has one zygote that serves (generation.ts), and replaces it when it dies. All forks of
 * a zygote have the same addresses and the same hash seed, so a sandbox's knowledge of itself is
 * true of its neighbours. Renewal bounds for how many and for how long: after 5,000 forks or 30
 * minutes a zygote is replaced. The next one is warm before it takes over, and no launch waits for
 * it.
 *
 * The old zygote stays for the sandboxes that it has. They become outdated one by one, over a tenth
 * of the age and at most five minutes; a pool ends an outdated sandbox as soon as it serves nobody.
 * At most two old zygotes stay. When a third is due, the sandboxes of the oldest are outdated at
 * once, and the renewal waits until they are gone.
 *
 * A launcher may have another way to give sandboxes their runtime, for as long as forks of its
 * zygotes die. The launcher tries forks again with growing pauses, and a zygote whose forks live
 * takes over as one that was renewed does.
 */
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { assertSupported, detectCgroups } from "../cgroup/detect.ts";
import type { CgroupDriver } from "../cgroup/driver.ts";
import type { EgressSockets } from "../contract/egress.ts";
import { SandboxError } from "../contract/error.ts";
import type { ForkableSandbox, Launcher, SandboxLimits } from "../contract/sandbox.ts";
import type { LaunchRequest } from "../protocol/control.ts";
import type { Generation } from "./generation.ts";
import { DEFAULT_RENEWAL, type Renewal, type ZygoteLauncherOptions } from "./launcher-options.ts";
import { MachineWatch } from "./machine-watch.ts";
import { makeRunDirectory, removeRunDirectory } from "./run-directory.ts";
import type { LaunchedSandbox } from "./sandbox.ts";
import { Receiver } from "./socket-receiver.ts";
import { Standby } from "./standby.ts";
import { type Fallback, ZygoteStarter } from "./zygote-starter.ts";

const FIRST_RETRY_MS = 50;
const LONGEST_RETRY_MS = 2_000;
const LONGEST_RENEWAL_RETRY_MS = 60_000;
/**
 * Zygotes that may stay for the sandboxes they have. While there are so many, no other is renewed.
 */
const MOST_RETIRED = 2;
/** The part of a zygote's age over which its sandboxes make way, and the most that this may be. */
const MAKING_WAY = 0.1;
const LONGEST_MAKING_WAY_MS = 300_000;

export class ZygoteLauncher implements Launcher {
  readonly #options: ZygoteLauncherOptions;
  readonly #renewal: Renewal;
  readonly #directory: string;
  readonly #receiver: Receiver;
  readonly #starter: ZygoteStarter;
  readonly #cgroups: CgroupDriver;
  readonly #closing = new AbortController();
  readonly #standby: Standby;
  readonly #machineWatch: MachineWatch;
  /** Oldest first. */
  readonly #retired = new Set<Generation>();
  #serving: Promise<Generation>;
  /** The one that serves, once it does. */
  #now: Generation[] = [];
  #renewing: Promise<void> | undefined;
  #returning: Promise<void> | undefined;
  #age: NodeJS.Timeout | undefined;

  private constructor(options: ZygoteLauncherOptions, cgroups: CgroupDriver, directory: string, receiver: Receiver) {
    this.#cgroups = cgroups;
    this.#options = options;
    this.#starter = new ZygoteStarter(options, { cgroups, directory, receiver });
    this.#renewal = options.renewal ?? DEFAULT_RENEWAL;
    this.#directory = directory;
    this.#receiver = receiver;
    this.#standby = new Standby({
      start: () => this.#starter.start(),
      onTrouble: (message, cause) => options.onTrouble?.(message, cause),
    });
    this.#machineWatch = new MachineWatch(() => this.#sandboxes(), options.isShortOfTcp);
    this.#machineWatch.start();
    this.#serving = this.#begin();
  }

  /** A launcher whose zygote is warm. @throws SandboxError that says what this machine lacks */
  static async open(options: ZygoteLauncherOptions): Promise<ZygoteLauncher> {
    // First, as it says best what an ordinary user lacks.
    const cgroups = detectCgroups();
    const directory = await makeRunDirectory();
    const receiver = await Receiver.listen(join(directory, "worker.sock"));
    const launcher = new ZygoteLauncher(options, cgroups, directory, receiver);
    try {
      await launcher.#serving;
    } catch (error) {
      await launcher.close();
      throw error;
    }
    return launcher;
  }

  /** Pid of the zygote that serves now. */
  async zygotePid(): Promise<number> {
    return (await this.#serving).pid;
  }

  /** Keeps a second zygote warm from now on, for when the one that serves dies or is renewed. */
  keepStandby(): void {
    this.#standby.keep();
  }

  /** Pid of the second zygote, once it is warm. */
  get standbyPid(): number | undefined {
    return this.#standby.pid;
  }

  /** How sandboxes of the zygote that serves now get their runtime. */
  get kind(): "fork" | "exec" {
    return this.#now[0]?.runtime ? "exec" : "fork";
  }

  async launch(limits: SandboxLimits, egress?: EgressSockets): Promise<ForkableSandbox> {
    assertSupported(this.#cgroups, limits);
    const ahead = await this.#takeAhead(limits);
    if (ahead) return ahead;
    const generation = await this.#living();
    return this.#counted(generation, generation.startRuntime(limits, egress));
  }

  /**
   * The sandbox that was made ahead, if it suits.
   * @throws SandboxError when the launcher is closed
   */
  async #takeAhead(limits: SandboxLimits): Promise<ForkableSandbox | undefined> {
    const generation = await this.#living();
    return this.#counted(generation, generation.takeAhead(limits));
  }

  /**
   * A new sandbox. One with a program is there when the program has been started.
   * @throws StartFailure when the program cannot be started, else SandboxError as `launch` does
   */
  async start(request: LaunchRequest): Promise<LaunchedSandbox> {
    assertSupported(this.#cgroups, request.limits);
    const generation = await this.#living();
    return this.#counted(generation, generation.start(request));
  }

  /** Gives the same back, and renews a generation that has forked as often as it may. */
  #counted<Made>(generation: Generation, made: Promise<Made>): Promise<Made> {
    if (generation.forks >= this.#renewal.forks) this.#renew(generation);
    return made;
  }

  get count(): number {
    return [...this.#retired, ...this.#now].reduce((sum, generation) => sum + generation.count, 0);
  }

  *#sandboxes(): Iterable<LaunchedSandbox> {
    for (const generation of [...this.#retired, ...this.#now]) yield* generation.sandboxes;
  }

  async retire(): Promise<void> {
    const generations = [...this.#retired, ...this.#now];
    for (const generation of generations) generation.outdate(0);
    await Promise.all(generations.map(({ emptied }) => emptied));
  }

  async close(): Promise<void> {
    this.#closing.abort();
    clearTimeout(this.#age);
    this.#machineWatch.stop();
    await this.#standby.close();
    await Promise.all([this.#renewing, this.#returning]);
    const serving = await this.#serving.catch(() => undefined);
    await Promise.all([serving, ...this.#retired].map((generation) => generation?.stop()));
    this.#receiver.close();
    await removeRunDirectory(this.#directory);
  }

  get #closed(): boolean {
    return this.#closing.signal.aborted;
  }

  /**
   * The generation that serves at the moment of the return, not one that was succeeded while this
   * waited.
   */
  async #living(): Promise<Generation> {
    for (;;) {
      if (this.#closed) throw new SandboxError("the launcher is closed");
      const serving = this.#serving;
      const generation = await serving;
      if (serving === this.#serving) return generation;
    }
  }

  async #begin(): Promise<Generation> {
    const first = await this.#starter.startAny();
    this.#watch(first);
    return first;
  }

  /** Has a generation that serves from now on replaced when it dies, and renewed when it is old. */
  #watch(generation: Generation): void {
    this.#now = [generation];
    void generation.died.then((reason) => {
      this.#tellEnd(generation, reason);
      this.#recover(generation);
    });
    clearTimeout(this.#age);
    this.#age = setInterval(() => {
      // Nobody has learnt anything about a zygote that never forked.
      if (generation.forks > 0) this.#renew(generation);
    }, this.#renewal.ageMs).unref();
    if (!this.#starter.isFallback(generation)) return;
    this.#returning ??= this.#return().finally(() => {
      this.#returning = undefined;
    });
  }

  /** Tries the launcher's own way again, for as long as the other is taken. Never rejects. */
  async #return(): Promise<void> {
    const { retryMs, onReturn } = this.#options.fallback as Fallback;
    for (let waitMs = retryMs; ; waitMs = Math.min(waitMs * 2, this.#renewal.ageMs)) {
      await this.#pause(waitMs);
      await this.#haveRoom();
      const [serving] = this.#now;
      if (this.#closed || serving === undefined || !this.#starter.isFallback(serving)) return;
      const next = await this.#starter.start().catch(() => null);
      if (next !== null && (await this.#handOver(serving, next))) return onReturn?.();
    }
  }

  #tellEnd(dead: Generation, reason: string): void {
    const planned = this.#closed || this.#retired.has(dead);
    this.#options.onZygoteEnd?.({ pid: dead.pid, reason, planned, sandboxes: dead.lost });
  }

  /** After the death of the generation that served: the next one. New launches wait for this. */
  #recover(dead: Generation): void {
    if (this.#closed || this.#retired.has(dead)) return;
    const standby = this.#standby.take();
    if (standby) this.#goOnWith(standby, dead);
    else this.#serving = this.#replace(dead);
    // Whoever launches next sees the failure; with nobody there it is no unhandled rejection.
    this.#serving.catch(() => undefined);
  }

  /** Serves with that generation from now on; the other one stays until all of it is gone. */
  #goOnWith(next: Generation, old: Generation): void {
    this.#retired.add(old);
    void old.gone.then(() => this.#retired.delete(old));
    this.#serving = Promise.resolve(next);
    this.#watch(next);
  }

  async #replace(dead: Generation): Promise<Generation> {
    await dead.gone;
    for (let waitMs = FIRST_RETRY_MS; !this.#closed; waitMs = Math.min(waitMs * 2, LONGEST_RETRY_MS)) {
      try {
        return await this.#begin();
      } catch (error) {
        this.#options.onTrouble?.("no zygote could be started after the last one died; trying again", error);
        await this.#pause(waitMs);
      }
    }
    throw new SandboxError("the launcher is closed");
  }

  /** Begins to renew a generation, unless that has begun already. */
  #renew(old: Generation): void {
    if (this.#closed) return;
    this.#renewing ??= this.#succeed(old).finally(() => {
      this.#renewing = undefined;
    });
  }

  /** Never rejects. */
  async #succeed(old: Generation): Promise<void> {
    const { forks, ageMs } = this.#renewal;
    await this.#haveRoom();
    for (let waitMs = LONGEST_RETRY_MS; !this.#closed; waitMs = Math.min(waitMs * 2, LONGEST_RENEWAL_RETRY_MS)) {
      try {
        const isFallback = this.#starter.isFallback(old);
        const next = isFallback
          ? await this.#starter.startAny()
          : (this.#standby.take() ?? (await this.#starter.start()));
        return void (await this.#handOver(old, next));
      } catch (error) {
        const message = `a zygote that is due for renewal after ${forks} forks or ${ageMs} ms cannot be renewed; it serves on`;
        this.#options.onTrouble?.(message, error);
        await this.#pause(waitMs);
      }
    }
  }

  /** Waits until fewer than `MOST_RETIRED` stay for their sandboxes; the oldest hurries. */
  async #haveRoom(): Promise<void> {
    const closed = new Promise((resolve) => this.#closing.signal.addEventListener("abort", resolve, { once: true }));
    while (this.#retired.size >= MOST_RETIRED && !this.#closed) {
      const [oldest] = this.#retired;
      oldest?.retire(0);
      await Promise.race([closed, ...Array.from(this.#retired, ({ gone }) => gone)]);
    }
  }

  /** Whether the next one serves from now on; else it is stopped. */
  async #handOver(old: Generation, next: Generation): Promise<boolean> {
    // The old one died meanwhile and was replaced, or the launcher was closed.
    if (this.#closed || (await this.#serving.catch(() => undefined)) !== old) {
      await next.stop();
      return false;
    }
    this.#goOnWith(next, old);
    old.retire(Math.min(this.#renewal.ageMs * MAKING_WAY, LONGEST_MAKING_WAY_MS));
    return true;
  }

  async #pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#closing.signal }).catch(() => undefined);
  }
}
