/**
 * What worker and zygote say to each other: lines of JSON over one socket. Both ends are ours; no sandbox has it.
 */
import { StringDecoder } from "node:string_decoder";
import type { SandboxLimits, SandboxUsage } from "../index.ts";
import type { Bind } from "../rootfs/mounts.ts";

/** The zygote's end of the control socket. */
export const CONTROL_FD = 3;

/** What a zygote is started with, as its one argument. */
export interface ZygoteOptions {
  /** The first host uid that it may use, and how many. It takes a free block of these for itself. */
  uidBase: number;
  uidCount: number;
  /** Where it builds roots: an empty directory that only root may enter. */
  directory: string;
  /** The worker's socket, to which every sandbox is connected before it is locked in. */
  socketPath: string;
}

/** A connection of a sandbox to its worker, and the descriptors that it becomes inside. */
export interface Connection {
  name: string;
  fds: number[];
}

/** A program to start instead of the runtime that the fork holds already. */
export interface Program {
  argv: string[];
  env: Record<string, string>;
  binds: Bind[];
  workingDirectory: string;
}

export type Request =
  | {
      op: "launch";
      id: string;
      /** Proves to the worker which sandbox a connection is: 32 hex digits. */
      token: string;
      limits: SandboxLimits;
      connections: Connection[];
      program?: Program;
      /** Locked in as asked, it runs attest/probe.ts and neither runtime nor program. */
      probe?: true;
    }
  | { op: "kill"; id: string }
  | { op: "selftest" }
  /** Are you there? */
  | { op: "ping" };

/** What only the zygote knows about the walls of its sandboxes. */
export interface ZygoteFacts {
  /** Digests of the seccomp program of forks, and of that of programs. */
  filterSha256: { fork: string; exec: string };
  /** Version of the kernel's Landlock, 0 where it has none. */
  landlockAbi: number;
}

export type Response =
  | { is: "ready"; group: string; facts: ZygoteFacts }
  | { is: "launched"; id: string; pid: number; hostUid: number }
  /** A wall could not be put up; nothing of the sandbox is left. */
  | { is: "refused"; id: string; message: string }
  | { is: "exited"; id: string; code: number | null; signal: number | null; usage: SandboxUsage }
  | { is: "selftested"; ok: boolean }
  | { is: "there" };

/** The first bytes of a connection: token, space, name, padded to a fixed length so that nothing after it is read. */
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
