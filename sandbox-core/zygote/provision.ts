/** What a sandbox is given before its fork, in the zygote's hands until then: ends of pipes, and a terminal. */
import { fchownSync } from "node:fs";
import { join } from "node:path";
import { sys } from "../syscall/libc.ts";
import { takeDescriptor } from "../syscall/steps.ts";
import type { PipeEnd, ProgramOutline } from "./control.ts";
import { TerminalPair } from "./terminal.ts";

export class Provision {
  /** The zygote's descriptors, and what they become inside. */
  readonly pipes: { fd: number; target: number }[] = [];
  readonly terminal: TerminalPair | undefined;

  /** @throws SyscallError, and keeps nothing then */
  constructor(request: { id: string; pipes?: readonly PipeEnd[]; program?: ProgramOutline }, parts: ProvisionParts) {
    try {
      for (const { from, fd } of request.pipes ?? []) {
        const taken = takeDescriptor(parts.workerPidfd, from);
        this.pipes.push({ fd: taken, target: fd });
        // As /dev/stdout it is opened anew, by the sandbox's user.
        fchownSync(taken, parts.hostId, parts.hostId);
      }
      const size = request.program?.terminal;
      if (size) this.terminal = new TerminalPair(join(parts.directory, `terminal-${request.id}`), parts.hostId, size);
    } catch (error) {
      this.closePipes();
      throw error;
    }
  }

  /** The fork has its own by now, or there is none. */
  closePipes(): void {
    for (const { fd } of this.pipes.splice(0)) sys.close(fd);
  }

  discard(): void {
    this.closePipes();
    this.terminal?.discard();
  }
}

export interface ProvisionParts {
  hostId: number;
  directory: string;
  workerPidfd: number;
}
