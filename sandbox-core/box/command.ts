/** A box's command and its surroundings: as the user says it, and as a zygote is asked for it. */
import { existsSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import { SandboxError } from "../contract/error.ts";
import { type Bind, DEFAULT_PATH, type Program, type WindowSize } from "../contract/program.ts";
import type { SandboxLimits } from "../contract/sandbox.ts";
import { kindOf } from "../rootfs/program.ts";
import type { BoxEgress } from "./egress.ts";

/** A file or directory of the host that the box sees. */
export interface BoxBind {
  /** On the host; relative to the working directory of this process. */
  source: string;
  /** In the box: absolute. A missing one is made, if the root can be written there. */
  target: string;
  /** True unless given: a writable bind is one of the few ways out of a box. */
  readOnly?: boolean;
}

export interface BoxOptions {
  /** The program first: a path in the box, or a name that is looked for in PATH. */
  argv: readonly string[];
  /** Besides PATH and HOME, which have defaults. Nothing comes from this process's environment. */
  env?: Readonly<Record<string, string>>;
  /** Default: `/`. */
  workingDirectory?: string;
  /**
   * `usr`, the default, has the host's programs and libraries, read-only; `bare` nothing but the
   * binds; a directory is a root of its own, read-only, and needs places for `/dev`, `/proc` and
   * `/tmp`.
   */
  root?: "usr" | "bare" | { directory: string };
  binds?: readonly BoxBind[];
  /**
   * The user that the command believes to be; default 1000. On the host it is a user of the box's
   * own, whoever it is inside.
   */
  user?: { uid: number; gid: number };
  /** `none`, the default, is loopback of its own; `host` gives up that wall. */
  network?: "none" | "host";
  /** Hosts that it reaches besides itself, by name and port; nothing unless given. */
  egress?: BoxEgress;
  /** `DEFAULT_BOX_LIMITS` where nothing is given. */
  limits?: Partial<SandboxLimits>;
  /** After so long it is ended, with the outcome `timeout`. */
  timeoutMs?: number;
  /** Gives it a terminal of that size as standard input, output and error. */
  terminal?: WindowSize;
  /**
   * Which system calls it may make. `command`, the default, is for anything; `program` leaves out
   * what shells and terminals need, and is what bundlers run under.
   */
  policy?: "command" | "program";
}

const MIB = 1024 * 1024;

export const DEFAULT_BOX_LIMITS: SandboxLimits = {
  memoryBytes: 256 * MIB,
  cpus: 1,
  pids: 128,
  tmpBytes: 64 * MIB,
  tmpInodes: 16_384,
};

const ORDINARY_USER = { uid: 1000, gid: 1000 };
/** Files of the host's that name lookups need, for a box in the host's network. */
const NETWORK_FILES = ["/etc/resolv.conf", "/etc/hosts"];

/** @throws SandboxError that says what is wrong and what to do */
export function programOf(options: BoxOptions): Program {
  const { argv, env = {}, workingDirectory = "/", root = "usr", user = ORDINARY_USER, network = "none" } = options;
  if (argv.length === 0 || argv[0] === "") throw new SandboxError("a box needs a command to run");
  for (const text of [...argv, ...Object.entries(env).flat(), workingDirectory]) refuseNul(text);
  if (options.egress && network === "host")
    throw new SandboxError("a box in the host's network reaches all that the host does: leave out egress, or that");
  if (options.terminal && root === "bare") throw new SandboxError("a terminal takes a root of its own, or /usr's");
  return {
    argv: [...argv],
    env: { PATH: DEFAULT_PATH, HOME: "/tmp", ...env },
    workingDirectory,
    root: typeof root === "object" ? { directory: directoryOf(root.directory) } : root,
    user,
    network,
    policy: options.policy ?? "command",
    binds: [...networkBinds(network, root), ...(options.binds ?? []).map(bindOf)],
    ...(options.terminal && { terminal: options.terminal }),
  };
}

function bindOf({ source, target, readOnly = true }: BoxBind): Bind {
  refuseNul(source);
  refuseNul(target);
  if (!isAbsolute(target)) throw new SandboxError(`${target} is no place in a box: write an absolute path`);
  const path = resolve(source);
  try {
    return { source: path, target: resolve(target), kind: kindOf(path), executable: true, writable: !readOnly };
  } catch (cause) {
    throw new SandboxError(`${path} cannot be bound: ${reasonOf(cause)}`, { cause });
  }
}

function directoryOf(directory: string): string {
  refuseNul(directory);
  const path = resolve(directory);
  if (existsSync(path) && kindOf(path) === "directory") return path;
  throw new SandboxError(`${path} cannot be the root: it is no directory`);
}

function networkBinds(network: string, root: NonNullable<BoxOptions["root"]>): Bind[] {
  if (network !== "host" || root === "bare") return [];
  const place = typeof root === "object" ? root.directory : "";
  return NETWORK_FILES.filter((path) => existsSync(path) && existsSync(`${place}${path}`)).map((path) => ({
    source: path,
    target: path,
    kind: "file",
    executable: false,
  }));
}

/** The kernel would take what is before it for the whole. */
function refuseNul(text: string): void {
  if (text.includes("\0")) throw new SandboxError(`${JSON.stringify(text)} has a NUL in it`);
}

function reasonOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code === "ENOENT" ? "it is not there" : (error as Error).message;
}
