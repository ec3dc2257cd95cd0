/** What a sandbox is given before its fork, in the zygote's hands until then: ends of pipes, and a terminal. */
import { fchownSync } from "node:fs";
import { sys } from "../syscall/libc.ts";
import { takeDescriptor } from "../syscall/steps.ts";
import type { PipeEnd, ProgramOutline } from "./control.ts";
import { dropTerminalMount, makeTerminal } from "./terminal.ts";

export class Provision {
  /** The zygote's descriptors, and what they become inside. */
  readonly pipes: { fd: number; target: number }[] = [];
  /** The master's side of the sandbox's terminal, which is the worker's to take. */
  readonly terminal: number | undefined;
  readonly #directory: string;
  #mounted = false;

  /** @throws SyscallError, and keeps nothing then */
  constructor(request: { pipes?: readonly PipeEnd[]; program?: ProgramOutline }, parts: ProvisionParts) {
    this.#directory = parts.directory;
    try {
      for (const { from, fd } of request.pipes ?? []) {
        const taken = takeDescriptor(parts.workerPidfd, from);
        this.pipes.push({ fd: taken, target: fd });
        // As /dev/stdout it is opened anew, by the sandbox's user.
        fchownSync(taken, parts.hostId, parts.hostId);
      }
      const size = request.program?.terminal;
      if (size) {
        this.terminal = makeTerminal(parts.directory, parts.hostId, size);
        this.#mounted = true;
      }
    } catch (error) {
      this.release();
      throw error;
    }
  }

  /** Lets go of all but the terminal's descriptor: the fork has its own by now, or there is none. */
  release(): void {
    for (const { fd } of this.pipes.splice(0)) sys.close(fd);
    if (this.#mounted) dropTerminalMount(this.#directory);
    this.#mounted = false;
  }

  /** Lets go of everything. */
  discard(): void {
    this.release();
    if (this.terminal !== undefined) sys.close(this.terminal);
  }
}

export interface ProvisionParts {
  hostId: number;
  directory: string;
  workerPidfd: number;
}
