/** The other side of a box's terminal: what is typed goes in, what is shown comes out. */
import { closeSync } from "node:fs";
import type { Readable, Writable } from "node:stream";
import { ReadStream } from "node:tty";
import type { WindowSize } from "../contract/program.ts";
import type { LaunchedSandbox } from "../launcher/sandbox.ts";
import { openPidfd } from "../syscall/pidfd.ts";
import { duplicate, neverWait, setWindowSize, takeDescriptor } from "../syscall/steps.ts";
import { TerminalInput } from "./terminal-input.ts";

export class Terminal {
  /**
   * The box's output. Hostile: escape sequences are not escaped. Ends when nothing in the box has
   * the terminal open.
   */
  readonly output: Readable;
  /** The user's input. Control characters act as on a keyboard: Ctrl-C is "\x03". */
  readonly input: Writable;
  readonly #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
    // For both streams: a descriptor's copies share this.
    neverWait(fd);
    const output = new ReadStream(fd);
    this.output = output;
    this.input = new TerminalInput(duplicate(fd));
    this.input.on("error", () => undefined);
    output.on("error", () => output.destroy());
    output.once("close", () => this.input.destroy());
  }

  /** Takes the terminal of a sandbox out of its zygote. @throws SyscallError */
  static of(sandbox: LaunchedSandbox): Terminal {
    return new Terminal(
      sandbox.takeTerminal((zygotePid, fd) => {
        const pidfd = openPidfd(zygotePid);
        try {
          return takeDescriptor(pidfd, fd);
        } finally {
          closeSync(pidfd);
        }
      }),
    );
  }

  /** Tells the box that its window has another size. Does nothing once it is gone. */
  resize(size: WindowSize): void {
    if (!this.output.destroyed) setWindowSize(this.#fd, size);
  }
}
