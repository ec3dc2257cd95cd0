/**
 * Messages between a worker and its zygote: lines of JSON over one socket. Both ends are ours; no
 * sandbox has it.
 */
import { StringDecoder } from "node:string_decoder";
import type { EgressSockets } from "../contract/egress.ts";
import type { Program } from "../contract/program.ts";
import type { SandboxLimits, SandboxUsage } from "../contract/sandbox.ts";

/** The zygote's end of the control socket. */
export const CONTROL_FD = 3;

/** The options of a zygote, its one argument. */
export interface ZygoteOptions {
  /**
   * The first host uid that it may use, and how many. The zygote takes a free block of these for
   * itself.
   */
  uidBase: number;
  uidCount: number;
  /** Where it builds roots: an empty directory that only root may enter. */
  directory: string;
  /** The worker's socket, to which every sandbox is connected before it is locked in. */
  socketPath: string;
  /** Whether it holds the runtime; without, it starts programs alone. */
  runtime: boolean;
  /** Whether it makes the fork of its next launch ahead, when it has nothing else to do. */
  forksAhead: boolean;
}

/** A connection of a sandbox to its worker, and the descriptors that it becomes inside. */
export interface Connection {
  name: string;
  fds: number[];
}

/** One end of a pipe that the worker made, which the sandbox gets. */
export interface PipeEnd {
  /** The descriptor in the worker, which keeps it open until the launch is answered. */
  from: number;
  /** The descriptor's number inside. */
  fd: number;
}

/** A request for a sandbox. */
export interface LaunchRequest {
  limits: SandboxLimits;
  connections?: Connection[];
  pipes?: PipeEnd[];
  /** Else it goes on as the runtime that the zygote holds. */
  program?: Program;
  /** Routes and sockets in its network namespace, made before it is locked in. */
  egress?: EgressSockets;
  /** Locked in as asked, it runs fork/probe.ts and neither runtime nor program. */
  probe?: true;
}

/** The sockets of egress that a fork makes, and the worker's descriptor that it sends them to. */
export interface EgressHandOver {
  sockets: EgressSockets;
  /** One end of a pair that the worker keeps open until the launch is answered. */
  to: number;
}

/**
 * The part of a program that a zygote has to know. The rest is secret from it, see fork/take.ts.
 */
export type ProgramOutline = Omit<Program, "argv" | "env" | "binds" | "workingDirectory">;

export type Request =
  | (Omit<LaunchRequest, "program" | "egress"> & {
      op: "launch";
      program?: ProgramOutline;
      egress?: EgressHandOver;
      /** The worker's descriptor of the rest, which it keeps open until the launch is answered. */
      secrets?: number;
      id: string;
      /** Proves to the worker which sandbox a connection is: 32 hex digits. */
      token: string;
      connections: Connection[];
    })
  | { op: "kill"; id: string }
  /** To the program, not to what it started, nor to the sandbox's first process. */
  | { op: "signal"; id: string; signal: number }
  /** Mounts what is in the directory `source` of the host as the files beside the function. */
  | { op: "mount_files"; id: string; source: string }
  /** Makes routes and sockets in the sandbox's network namespace. */
  | { op: "open_egress"; id: string; sockets: EgressSockets }
  /** The worker has its own descriptors of the sockets. */
  | { op: "took_egress"; id: string }
  /** The worker has its own descriptor of the terminal. */
  | { op: "took_terminal"; id: string }
  | { op: "selftest" }
  /** The fork of the self-test takes too long. */
  | { op: "end_selftest" }
  /** Are you there? */
  | { op: "ping" };

/** Facts about the walls of its sandboxes that only the zygote knows. */
export interface ZygoteFacts {
  /** Digests of the seccomp program of forks, and of that of programs. */
  filterSha256: { fork: string; exec: string };
  /** Version of the kernel's Landlock, 0 where it has none. */
  landlockAbi: number;
  /** Whether it can refuse descriptors that are sent to a socket. */
  refusesDescriptors: boolean;
}

/** Why a sandbox could not be made: a wall could not be put up, unless a field says more. */
export interface Refusal {
  message: string;
  /** The name of the error with which its program could not be started. */
  start?: string;
  /** The sockets of its egress could not be made. */
  egress?: true;
}

export type Response =
  | { is: "ready"; group: string; facts: ZygoteFacts }
  /**
   * A program has been started by then: `program` is its pid inside. `terminal` is the zygote's
   * descriptor of the terminal's other side.
   */
  | { is: "launched"; id: string; pid: number; hostUid: number; program?: number; terminal?: number }
  /** Nothing is left. */
  | ({ is: "refused"; id: string } & Refusal)
  | { is: "exited"; id: string; code: number | null; signal: number | null; usage: SandboxUsage }
  /** The files are mounted, or `problem` says why they are not. */
  | { is: "mounted_files"; id: string; problem?: string }
  /** The zygote's descriptors of the sockets, or `problem` says why there are none. */
  | { is: "opened_egress"; id: string; fds: number[]; problem?: string }
  /** The fork of the self-test is made, and the zygote waits for its end. */
  | { is: "selftesting"; pid: number }
  | { is: "selftested"; end: ProgramEnd }
  | { is: "there" };

/** A fork's report to the zygote, in a line of less than PIPE_BUF bytes. `fork` is its number. */
export type Status =
  | ({ fork: number; is: "failed" } & Refusal)
  /** `program` is the pid of the program as the sandbox knows it. */
  | { fork: number; is: "started"; program: number }
  | { fork: number; is: "ended"; end: ProgramEnd };

export interface ProgramEnd {
  code: number | null;
  signal: number | null;
}

/** How a process ended, out of the word that waitpid(2) gives. */
export function endOf(status: number): ProgramEnd {
  const signal = status & 0x7f;
  return signal === 0 ? { code: (status >> 8) & 0xff, signal: null } : { code: null, signal };
}

/**
 * The first bytes of a connection: token, space, name, padded to a fixed length so that nothing
 * after it is read.
 */
export const HELLO_BYTES = 48;

export function hello(token: string, name: string): Buffer {
  return Buffer.from(`${token} ${name}`.padEnd(HELLO_BYTES));
}

/** Cuts a byte stream of the other end into messages. */
export class LineReader<Message> {
  #rest = "";
  readonly #decoder = new StringDecoder("utf8");

  push(chunk: Buffer): Message[] {
    const lines = (this.#rest + this.#decoder.write(chunk)).split("\n");
    this.#rest = lines.pop() ?? "";
    return lines.map((line) => JSON.parse(line) as Message);
  }
}
