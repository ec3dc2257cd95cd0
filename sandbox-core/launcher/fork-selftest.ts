/**
 * The launcher's part of a zygote's self-test (zygote/selftest.ts): looks at the fork, which should
 * take a fifth of a second of a processor, and has it ended when it takes too long. One that hangs
 * waits; one that a busy machine does not run is told apart.
 */
import { SandboxError } from "../contract/error.ts";
import type { Request, Response } from "../protocol/control.ts";
import { cpuMsOf, isAnyAtWork } from "./tasks.ts";
import { describeOverrun, type WorkLimits, WorkWatch } from "./work-limit.ts";

const LIMITS: WorkLimits = { cpuMs: 20_000, waitMs: 5_000, wallMs: 120_000 };

/** Forks of a zygote cannot be lived in, as far as a self-test tells. */
export class ForksDieError extends SandboxError {
  constructor(why: string) {
    super(`a fork of Node ${process.version} does not live: ${why}`);
    this.name = "ForksDieError";
  }
}

type Heard = Extract<Response, { is: "selftesting" | "selftested" }>;

export class ForkSelftest {
  readonly #send: (request: Request) => void;
  readonly #over = Promise.withResolvers<void>();
  #watch: WorkWatch | undefined;
  #overrun: string | undefined;

  constructor(send: (request: Request) => void) {
    this.#send = send;
  }

  /** Resolves when a fork lived. @throws ForksDieError, or SandboxError when the zygote died */
  async run(): Promise<void> {
    this.#send({ op: "selftest" });
    await this.#over.promise.finally(() => this.#watch?.stop());
  }

  hear(response: Heard): void {
    if (response.is === "selftesting") this.#observe(response.pid);
    else if (response.end.code === 0) this.#over.resolve();
    else this.#over.reject(new ForksDieError(this.#overrun ?? endedBy(response.end)));
  }

  /** The zygote died, which says nothing about forks. */
  fail(reason: string): void {
    this.#over.reject(new SandboxError(reason));
  }

  #observe(pid: number): void {
    const look = () => ({ cpuMs: cpuMsOf(pid), isAtWork: isAnyAtWork([pid]) });
    this.#watch = new WorkWatch(LIMITS, look, (overrun) => {
      this.#overrun = `its self-test was not done ${describeOverrun(overrun)}`;
      this.#send({ op: "end_selftest" });
    });
  }
}

function endedBy({ code, signal }: Extract<Heard, { is: "selftested" }>["end"]): string {
  return signal === null ? `it ended with exit code ${code}` : `it was ended by signal ${signal}`;
}
