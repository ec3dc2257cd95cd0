/**
 * The function that `sandpiper dev` serves: one of its own, beside the one that is deployed. Its
 * name is held, so that it ends when this process ends, however that is.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import { settledWithin } from "../../../infra/std/time.ts";
import type { Deployed } from "../../api/schemas.ts";
import type { Gateway } from "../client/gateway.ts";
import { CliError } from "../failure.ts";
import { type Deployable, deployFiles } from "../upload/deploy-files.ts";

/** How long the function outlives a process that cannot say that it ends. */
const HOLD_MS = 60_000;
const RENEW_MS = 15_000;
/** Longest wait for the gateway when the function is given up. */
const RELEASE_MS = 5_000;
const MOST_OF_A_NAME = 9;
const MAX_NAME_LENGTH = 63;

export interface HeldFunctionOptions {
  gateway: Gateway;
  /** The name in sandpiper.jsonc. */
  functionName: string;
  /** Ends the renewing. */
  closing: AbortSignal;
  /** Told when the gateway does not answer, once, and when the function expired meanwhile. */
  onAway(error: unknown): void;
  onLost(): void;
}

export class HeldFunction {
  readonly name: string;
  readonly #options: HeldFunctionOptions;
  readonly #holder: string;
  readonly #known = new Set<string>();

  private constructor(name: string, holder: string, options: HeldFunctionOptions) {
    this.name = name;
    this.#holder = holder;
    this.#options = options;
  }

  /** Takes the first name that is free: "hello-dev", "hello-dev-2". @throws CliError NAME_HELD */
  static async take(options: HeldFunctionOptions): Promise<HeldFunction> {
    const { gateway, functionName } = options;
    const holder = randomUUID();
    for (let number = 1; ; number++) {
      const name = heldName(functionName, number);
      try {
        await gateway.hold(name, { holder, ttlMs: HOLD_MS });
        return new HeldFunction(name, holder, options);
      } catch (error) {
        if (codeOf(error) !== "NAME_HELD" || number === MOST_OF_A_NAME) throw error;
      }
    }
  }

  /** Deploys to the held name, whatever name the configuration has. */
  async deploy(deployable: Deployable): Promise<Deployed> {
    const named = { ...deployable, config: { ...deployable.config, name: this.name } };
    const deploy = () => deployFiles(this.#options.gateway, named, { holder: this.#holder, known: this.#known });
    return await deploy().catch(async (error: unknown) => {
      // The hold is over, as when this machine slept.
      if (codeOf(error) !== "NAME_HELD") throw error;
      await this.#hold();
      return await deploy();
    });
  }

  /** Holds the name until `closing` aborts. */
  async keep(): Promise<void> {
    const { closing, onAway, onLost } = this.#options;
    let isAway = false;
    while (!closing.aborted) {
      await wait(RENEW_MS, undefined, { signal: closing }).catch(() => {});
      if (closing.aborted) return;
      try {
        const { deployed } = await this.#hold();
        isAway = false;
        if (!deployed) onLost();
      } catch (error) {
        if (!isAway && !closing.aborted) onAway(error);
        isAway = true;
      }
    }
  }

  /** Deletes the function. Where the gateway does not answer, it expires. */
  async release(): Promise<void> {
    await settledWithin(RELEASE_MS, this.#options.gateway.delete(this.name, this.#holder));
  }

  #hold() {
    return this.#options.gateway.hold(this.name, { holder: this.#holder, ttlMs: HOLD_MS });
  }
}

function heldName(functionName: string, number: number): string {
  const ending = number === 1 ? "-dev" : `-dev-${number}`;
  return functionName.slice(0, MAX_NAME_LENGTH - ending.length).replace(/-+$/, "") + ending;
}

function codeOf(error: unknown): string | undefined {
  return error instanceof CliError ? error.code : undefined;
}
