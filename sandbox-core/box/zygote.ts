/**
 * The process that boxes and JavaScript sandboxes come from, for whoever uses this folder as a
 * library.
 */

import type { SandboxEgress } from "../contract/egress.ts";
import { SandboxError } from "../contract/error.ts";
import type { Sandbox, SandboxLimits } from "../contract/sandbox.ts";
import { openLauncher } from "../host/open.ts";
import { socketsOf } from "../launcher/egress-policy.ts";
import { EgressRelay, type EgressRelaySettings } from "../launcher/egress-relay.ts";
import { ZygoteLauncher } from "../launcher/launcher.ts";
import type { LaunchedSandbox } from "../launcher/sandbox.ts";
import type { LaunchRequest } from "../protocol/control.ts";
import { type BoxEgress, policyOfBox } from "./egress.ts";

export interface ZygoteSettings {
  /**
   * Has it hold the JavaScript runtime too, so that `launch` forks sandboxes of at most so much
   * memory. Without, it starts programs alone and is ready sooner.
   */
  javascript?: { memoryMiB: number };
  /**
   * Set for a zygote that makes a single box: it is ready sooner, takes less memory, and would be
   * slower at the next.
   */
  single?: boolean;
  /**
   * Settings of the process that carries the traffic of boxes with egress. With them it is started
   * at once, without them for the first such box.
   */
  egress?: EgressRelaySettings;
  /**
   * Host users that sandboxes may take; a zygote claims 1,024 of them. Any that no account of the
   * host has will do.
   */
  uidBase?: number;
  uidCount?: number;
}

/** Beyond the range of accounts and away from what workers take by default. */
const UID_BASE = 1_100_000_000;
const UID_COUNT = 4_194_304;

/** One thread, which is all that a fork has. */
const ONE_BOX = ["--single-threaded", "--v8-pool-size=1"];
/**
 * For many: every function is compiled before the first fork, as each fork would compile it anew,
 * and Node's own code lies in large pages, of which a fork copies a few entries: 40 MB once, and a
 * tenth off each box.
 */
const MANY_BOXES = [...ONE_BOX, "--no-lazy", "--no-flush-bytecode", "--use-largepages=silent"];
/** Nothing needs renewing: what a zygote for programs starts has an address layout of its own. */
const NEVER = { forks: Number.POSITIVE_INFINITY, ageMs: 2 ** 31 - 1 };

/**
 * A zygote, ready for `Box.run`, `Box.start` and, if it holds the runtime, `launch`. Root is
 * needed. Everything that came out of it ends with it, and it ends with this process.
 */
export class Zygote implements AsyncDisposable {
  readonly #launcher: ZygoteLauncher;
  readonly #relay: EgressRelay;
  readonly #hasJavascript: boolean;

  private constructor(launcher: ZygoteLauncher, relay: EgressRelay, hasJavascript: boolean) {
    this.#launcher = launcher;
    this.#relay = relay;
    this.#hasJavascript = hasJavascript;
  }

  /** Starts one. @throws SandboxError that says what this machine lacks */
  static async open(settings: ZygoteSettings = {}): Promise<Zygote> {
    if (process.getuid?.() !== 0)
      throw new SandboxError("sandboxes are made by root, and this process is not: run it as root, with sudo");
    const { javascript, single = false, uidBase = UID_BASE, uidCount = UID_COUNT, egress } = settings;
    const relay = new EgressRelay(egress);
    // Whoever starts a box with egress hears of a relay that cannot be started.
    if (egress) void relay.start().catch(() => undefined);
    try {
      const launcher = javascript
        ? await openLauncher({ ...javascript, uidBase, uidCount })
        : await ZygoteLauncher.open({
            nodeFlags: single ? ONE_BOX : MANY_BOXES,
            uidBase,
            uidCount,
            programsOnly: true,
            renewal: NEVER,
          });
      return new Zygote(launcher, relay, javascript !== undefined);
    } catch (error) {
      await relay.close();
      throw error;
    }
  }

  /**
   * A JavaScript sandbox: locked in, its runtime waiting on `wire` for a `load` frame of
   * protocol/frames.ts.
   * @throws SandboxError when the kernel refuses a wall, or the zygote holds no runtime
   */
  launch(limits: SandboxLimits): Promise<Sandbox> {
    if (this.#hasJavascript) return this.#launcher.launch(limits);
    return Promise.reject(new SandboxError("this zygote holds no runtime: open it with the setting javascript"));
  }

  /** The parts that a Box is made with. @throws StartFailure, SandboxError */
  start(request: LaunchRequest): Promise<LaunchedSandbox> {
    return this.#launcher.start(request);
  }

  /**
   * The same with egress: whatever the program does first, its routes and sockets are there. A
   * program that has ended already needs none.
   * @throws StartFailure, SandboxError, also when there is no relay for it
   */
  async startWithEgress(
    request: LaunchRequest,
    egress: BoxEgress,
  ): Promise<{ sandbox: LaunchedSandbox; egress?: SandboxEgress }> {
    const policy = policyOfBox(egress);
    const sockets = socketsOf(policy);
    await this.#relay.start();
    const sandbox = await this.#launcher.start({ ...request, egress: sockets });
    try {
      const onEvent = egress.onEvent ?? (() => undefined);
      return { sandbox, egress: await this.#relay.open(sandbox, policy, onEvent) };
    } catch (error) {
      if (sandbox.stats() === null) return { sandbox };
      sandbox.kill("it has no egress");
      await sandbox.exited;
      throw error;
    }
  }

  /** Ends everything that came out of it, and itself; resolves when all of it is gone. */
  async close(): Promise<void> {
    await this.#launcher.close();
    await this.#relay.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
