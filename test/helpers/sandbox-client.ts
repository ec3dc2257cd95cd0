/** A real sandbox out of a real zygote, and the worker's end of its wire. */
import { once } from "node:events";
import type { EgressSockets } from "../../sandbox-core/contract/egress.ts";
import type { ForkableSandbox, SandboxLimits } from "../../sandbox-core/contract/sandbox.ts";
import { type LauncherOptions, openLauncher } from "../../sandbox-core/host/open.ts";
import type { ZygoteLauncher } from "../../sandbox-core/launcher/launcher.ts";
import { encodeFork, encodeTemplate } from "../../sandbox-core/protocol/frames.ts";
import { type LoadOptions, WireClient } from "./wire-client.ts";

const MEBIBYTE = 1024 * 1024;

export const LIMITS: SandboxLimits = {
  memoryBytes: 128 * MEBIBYTE,
  cpus: 1,
  pids: 64,
  tmpBytes: 16 * MEBIBYTE,
  tmpInodes: 1_000,
};

/** A launcher with uids far from those of a platform that may run beside the tests. */
export function openTestLauncher(options: Partial<LauncherOptions> = {}): Promise<ZygoteLauncher> {
  return openLauncher({ memoryMiB: 128, uidBase: 1_700_000, uidCount: 65_536, kind: "fork", ...options });
}

export class SandboxClient extends WireClient {
  readonly sandbox: ForkableSandbox;
  #forks = 0;

  private constructor(sandbox: ForkableSandbox) {
    super(sandbox.wire, sandbox.exited);
    this.sandbox = sandbox;
    sandbox.stdio.on("data", (text) => {
      this.lastWords += text;
    });
  }

  /** A blank sandbox whose runtime has not said `ready` yet. */
  static async launch(
    launcher: ZygoteLauncher,
    limits: Partial<SandboxLimits> = {},
    egress?: EgressSockets,
  ): Promise<SandboxClient> {
    return new SandboxClient(await launcher.launch({ ...LIMITS, ...limits }, egress));
  }

  /** A blank sandbox whose runtime has said `ready`. */
  static async blank(
    launcher: ZygoteLauncher,
    limits: Partial<SandboxLimits> = {},
    egress?: EgressSockets,
  ): Promise<SandboxClient> {
    const client = await SandboxClient.launch(launcher, limits, egress);
    await client.next("ready");
    return client;
  }

  /** A sandbox with this module loaded. */
  static async with(
    launcher: ZygoteLauncher,
    code: string,
    { limits, ...options }: LoadOptions & { limits?: Partial<SandboxLimits> } = {},
  ): Promise<SandboxClient> {
    const client = await SandboxClient.blank(launcher, limits);
    const loaded = await client.load(code, options);
    if (loaded.type === "load_failed") throw new Error(`${loaded.error.message}\n${loaded.error.stack}`);
    return client;
  }

  /** A sandbox in which this module was loaded, and has become a template. */
  static async template(launcher: ZygoteLauncher, code: string, options: LoadOptions = {}): Promise<SandboxClient> {
    const client = await SandboxClient.with(launcher, code, { isolation: "invocation", ...options });
    client.wire.write(encodeTemplate());
    const { noTemplateReason } = await client.next("templated");
    if (noTemplateReason !== null) throw new Error(noTemplateReason);
    return client;
  }

  /**
   * The wire of a new fork of this sandbox, a template: in a fork slot, or in its template's own
   * group. Resolves when the fork has begun.
   */
  async fork({ inForkSlot = false } = {}): Promise<WireClient> {
    const number = ++this.#forks;
    const slot = inForkSlot ? this.sandbox.openForkSlot(number) : undefined;
    const { wire, stdio } = this.sandbox.sendForkSockets(encodeFork(number), slot);
    stdio.resume();
    const client = new WireClient(wire, once(wire, "close"));
    await client.next("loaded");
    return client;
  }

  /**
   * What the expression gives inside a sandbox of its own, which ends after it. May use `await` and
   * `node:` imports by name.
   */
  static async evaluate(launcher: ZygoteLauncher, expression: string): Promise<unknown> {
    await using client = await SandboxClient.with(launcher, evaluating(expression));
    return JSON.parse(await client.text());
  }

  /** The same in a fork of a template. */
  static async evaluateInFork(launcher: ZygoteLauncher, expression: string): Promise<unknown> {
    await using client = await SandboxClient.template(launcher, evaluating(expression));
    return JSON.parse(await (await client.fork()).text());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.sandbox.kill("the test is over");
    await this.sandbox.exited;
  }
}

/**
 * A function whose answer is the JSON of an expression, or of the error that it throws as {"error":
 * code}.
 */
export function evaluating(expression: string): string {
  return `
    import * as fs from "node:fs";
    import * as net from "node:net";
    import * as os from "node:os";
    import * as crypto from "node:crypto";
    import * as childProcess from "node:child_process";
    import * as dgram from "node:dgram";
    import * as vm from "node:vm";
    import { once } from "node:events";
    const attempt = async (what) => { try { return await what(); } catch (e) { return { error: e.code ?? e.message }; } };
    export default async () => Response.json(await attempt(async () => (${expression})) ?? null);
  `;
}
