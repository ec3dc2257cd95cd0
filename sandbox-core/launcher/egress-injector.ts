/**
 * The injector of egress for whoever holds sandboxes. Its process is started with the first sandbox
 * that something is injected for, and after a death with the next one: its authority is new then,
 * and the sandboxes of before do not trust it.
 */
import type { EgressInjection, SandboxInjector } from "../contract/egress.ts";
import { SandboxError } from "../contract/error.ts";
import type { RelayRequest, RelayResponse } from "../protocol/egress.ts";
import {
  type InjectorOptions,
  type InjectorRequest,
  type InjectorResponse,
  LINK_NUMBER,
} from "../protocol/injector.ts";
import { sys } from "../syscall/libc.ts";
import { EgressProcess } from "./egress-process.ts";

/** One that serves. */
interface Started extends SandboxInjector {
  process: EgressProcess<InjectorRequest, InjectorResponse>;
}

export class EgressInjector {
  readonly #options: InjectorOptions;
  readonly #onDeath: (reason: string) => void;
  #started: Promise<Started> | undefined;
  #serving: Started | undefined;
  #isClosed = false;

  /** @param onDeath told when a process died that served */
  constructor(options: InjectorOptions, onDeath: (reason: string) => void) {
    this.#options = options;
    this.#onDeath = onDeath;
  }

  /**
   * The one that serves, started if there is none.
   * @param onStarted called with one that was started
   * @throws SandboxError
   */
  async start(onStarted: () => void): Promise<SandboxInjector> {
    if (this.#isClosed) throw new SandboxError("the injector of egress is closed");
    this.#started ??= this.#startOnce(onStarted);
    return await this.#started;
  }

  /** Tells it what is put into the requests of a sandbox. */
  open(sandbox: number, injections: readonly EgressInjection[]): void {
    this.#serving?.process.send({ op: "open", sandbox, injections });
  }

  forget(sandbox: number): void {
    this.#serving?.process.send({ op: "close", sandbox });
  }

  /** Connects it and a relay, if it serves. @throws SyscallError */
  linkTo(relay: EgressProcess<RelayRequest, RelayResponse>): void {
    if (this.#serving === undefined) return;
    const pairs = [sys.socketpair(), sys.socketpair()];
    try {
      for (const [index, end] of [relay, this.#serving.process].entries()) {
        end.sendSockets(
          LINK_NUMBER,
          pairs.map((pair) => pair[index] as number),
        );
        end.send({ op: "link" });
      }
    } finally {
      for (const fd of pairs.flat()) sys.close(fd);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const started = await this.#started?.catch(() => undefined);
    await started?.process.stop();
  }

  async #startOnce(onStarted: () => void): Promise<Started> {
    const gone = Promise.withResolvers<void>();
    let caCertificate = "";
    try {
      const process = await EgressProcess.start<InjectorRequest, InjectorResponse>("injector", this.#options, {
        onWord: (ready) => {
          ({ caCertificate } = ready);
        },
        onDeath: (reason) => {
          this.#started = undefined;
          gone.resolve();
          if (this.#serving === undefined || this.#isClosed) return;
          this.#serving = undefined;
          this.#onDeath(reason);
        },
      });
      const started: Started = { process, caCertificate, gone: gone.promise };
      this.#serving = started;
      onStarted();
      return started;
    } catch (error) {
      this.#started = undefined;
      throw error;
    }
  }
}
