/** A box: any command behind the walls of a sandbox, with pipes or a terminal to it. */
import { closeSync } from "node:fs";
import { Socket } from "node:net";
import { constants } from "node:os";
import type { Duplex, Readable, Writable } from "node:stream";
import type { SandboxEgress } from "../contract/egress.ts";
import type { SandboxLimits, SandboxReading, SandboxStats } from "../contract/sandbox.ts";
import type { LaunchedSandbox } from "../launcher/sandbox.ts";
import type { PipeEnd } from "../protocol/control.ts";
import { makePipe } from "../syscall/steps.ts";
import { type BoxOptions, DEFAULT_BOX_LIMITS, programOf } from "./command.ts";
import { type BoxEnd, boxEnd, KILLED, TIMED_OUT } from "./outcome.ts";
import { Terminal } from "./terminal.ts";
import type { Zygote } from "./zygote.ts";

export interface BoxResult extends BoxEnd {
  stdout: Buffer;
  stderr: Buffer;
  /** Whether something of it was dropped, because it was more than `maxOutputBytes`. */
  truncated: boolean;
}

export interface BoxRunOptions extends BoxOptions {
  /** The command's standard input. */
  input?: string | Uint8Array;
  /** Most bytes that are kept of each of stdout and stderr; 16 MiB unless given. */
  maxOutputBytes?: number;
}

const DEFAULT_OUTPUT_BYTES = 16 * 1024 * 1024;

/** The streams of a box as this process holds them. */
interface Streams {
  stdin: Writable;
  stdout: Readable;
  stderr: Readable;
}

interface BoxParts {
  sandbox: LaunchedSandbox;
  egress?: SandboxEgress;
  limits: SandboxLimits;
  streams: Streams;
  options: BoxOptions;
  startedMs: number;
}

export class Box {
  /** Unique among all boxes of this host's life. */
  readonly id: string;
  /** Its first process as the host sees it: the parent of its command. */
  readonly pid: number;
  /** The pid of its command as the box knows it. */
  readonly commandPid: number;
  /** The host user that it runs as, its own alone. */
  readonly hostUid: number;
  readonly limits: SandboxLimits;
  /** Its control group, below the root of each hierarchy. */
  readonly group: string;
  /** Set when the box was started with a terminal; then the three streams are empty. */
  readonly terminal: Terminal | null;
  /** End it when the command has read all; a box that reads nothing needs no attention here. */
  readonly stdin: Writable;
  /** Hostile, and bounded by whoever reads it. Ends with the box. */
  readonly stdout: Readable;
  readonly stderr: Readable;
  /**
   * Settles once, never rejects; by then everything in the box is gone, and all that was refused to
   * it has been told.
   */
  readonly ended: Promise<BoxEnd>;
  readonly #sandbox: LaunchedSandbox;

  private constructor({ sandbox, egress, limits, streams, options, startedMs }: BoxParts) {
    this.id = sandbox.id;
    this.pid = sandbox.pid;
    this.commandPid = sandbox.program as number;
    this.hostUid = sandbox.hostUid;
    this.group = sandbox.group;
    this.limits = limits;
    this.#sandbox = sandbox;
    this.terminal = options.terminal ? Terminal.of(sandbox) : null;
    ({ stdin: this.stdin, stdout: this.stdout, stderr: this.stderr } = streams);
    const { timeoutMs } = options;
    const timer = timeoutMs === undefined ? undefined : setTimeout(() => sandbox.kill(TIMED_OUT), timeoutMs);
    this.ended = sandbox.exited.then(async (exit) => {
      clearTimeout(timer);
      streams.stdin.destroy();
      const elapsedMs = performance.now() - startedMs;
      await egress?.told();
      return boxEnd(exit, elapsedMs);
    });
  }

  /**
   * Starts a command in a box of its own; resolves when it runs.
   * @throws StartFailure when the command cannot be started: its `code` is ENOENT when there is no
   * such program; SandboxError when the box cannot be made
   */
  static async start(zygote: Zygote, options: BoxOptions): Promise<Box> {
    const startedMs = performance.now();
    const program = programOf(options);
    const limits = { ...DEFAULT_BOX_LIMITS, ...options.limits };
    const pipes = new Pipes(options.terminal === undefined);
    try {
      const request = { limits, pipes: pipes.theirs, program };
      const started = options.egress
        ? await zygote.startWithEgress(request, options.egress)
        : { sandbox: await zygote.start(request) };
      return new Box({ ...started, limits, streams: pipes.open(), options, startedMs });
    } catch (error) {
      pipes.discard();
      throw error;
    }
  }

  /**
   * Runs a command from start to end, and gives what it wrote.
   * @throws StartFailure, SandboxError as `start`; whatever the command itself does is a result
   */
  static async run(zygote: Zygote, options: BoxRunOptions): Promise<BoxResult> {
    const { input, maxOutputBytes = DEFAULT_OUTPUT_BYTES, ...rest } = options;
    const box = await Box.start(zygote, rest);
    // A command that does not read to the end is no failure.
    box.stdin.on("error", () => undefined);
    box.stdin.end(input);
    const [out, err, end] = await Promise.all([
      collect(box.stdout, maxOutputBytes),
      collect(box.stderr, maxOutputBytes),
      box.ended,
    ]);
    return { ...end, stdout: out.bytes, stderr: err.bytes, truncated: out.truncated || err.truncated };
  }

  /**
   * Sends a signal to the command, and to nothing that it started. One that takes no signal is
   * ended by `kill`.
   */
  signal(signal: NodeJS.Signals): void {
    this.#sandbox.signal(constants.signals[signal]);
  }

  /** Ends everything in the box, now. Idempotent; await `ended`. */
  kill(): void {
    this.#sandbox.kill(KILLED);
  }

  /** Figures as of now, cheap; the last ones once it is gone. */
  usage(): SandboxReading {
    return this.#sandbox.usage();
  }

  /** All figures as of now; null once it is gone. */
  stats(): SandboxStats | null {
    return this.#sandbox.stats();
  }

  /**
   * Stops every task of it where it stands, until `thaw`.
   * @throws SandboxError when it cannot be done
   */
  freeze(): Promise<void> {
    return this.#sandbox.freeze();
  }

  thaw(): Promise<void> {
    return this.#sandbox.thaw();
  }
}

/** Three pipes: our ends, and theirs, which the zygote takes. */
class Pipes {
  readonly #made: { ours: number; theirs: PipeEnd }[] = [];

  constructor(wanted: boolean) {
    if (!wanted) return;
    for (const fd of [0, 1, 2]) {
      const { read, write } = makePipe();
      this.#made.push(
        fd === 0 ? { ours: write, theirs: { from: read, fd } } : { ours: read, theirs: { from: write, fd } },
      );
    }
  }

  get theirs(): PipeEnd[] {
    return this.#made.map(({ theirs }) => theirs);
  }

  /** Once they are taken: streams over ours. */
  open(): Streams {
    for (const { theirs } of this.#made) closeSync(theirs.from);
    const [stdin, stdout, stderr] = this.#made.map(({ ours }) => ours);
    return {
      stdin: streamOver(stdin, "write"),
      stdout: streamOver(stdout, "read"),
      stderr: streamOver(stderr, "read"),
    };
  }

  discard(): void {
    for (const { ours, theirs } of this.#made) for (const fd of [ours, theirs.from]) closeSync(fd);
  }
}

/** A stream over the end of a pipe; an ended one where there is none. */
function streamOver(fd: number | undefined, direction: "read" | "write"): Duplex {
  if (fd !== undefined) return new Socket({ fd, readable: direction === "read", writable: direction === "write" });
  const none = new Socket({ readable: false, writable: false });
  none.destroy();
  return none;
}

/**
 * Everything that a stream gives, up to a limit; the rest is read and dropped, so that the writer
 * goes on.
 */
async function collect(stream: Readable, limit: number): Promise<{ bytes: Buffer; truncated: boolean }> {
  const chunks: Buffer[] = [];
  let room = limit;
  let truncated = false;
  if (stream.destroyed) return { bytes: Buffer.alloc(0), truncated };
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    if (room > 0) chunks.push(chunk.subarray(0, room));
    truncated ||= chunk.length > room;
    room = Math.max(0, room - chunk.length);
  }
  return { bytes: Buffer.concat(chunks), truncated };
}
