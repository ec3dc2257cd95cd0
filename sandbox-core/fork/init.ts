/**
 * The first process of a sandbox that runs a program. A program is not made to be process 1:
 * signals without a handler would be ignored, and the orphans of what it starts would stay zombies.
 * So the fork that locked itself in stays as process 1. The fork starts the program with
 * posix_spawn(3), under the same filter, closes everything but the pipe through which it reports,
 * and collects whatever ends. The launch is answered when the program runs. The fork ends when the
 * program does, and the kernel then ends all that is left; the same happens when the fork is
 * killed.
 *
 * The init needs no file in the sandbox's root, forwards nothing and takes no signal. The sandbox
 * cannot see it: the process is not dumpable, and /proc hides such processes. A terminal is made by
 * the zygote (zygote/terminal.ts), and pipes come from the worker (take.ts).
 */
import { accessSync, constants } from "node:fs";
import { DEFAULT_PATH, type Program } from "../contract/program.ts";
import { endOf, type ProgramEnd, type Status } from "../protocol/control.ts";
import { exitNow, sys } from "../syscall/libc.ts";
import { closeAllBut } from "../syscall/steps.ts";

const ANY_CHILD = -1;
/** Where the status pipe is once nothing else is open. */
const REPORT_FD = 0;

/** A program that could not be started: the sandbox was made, and ends. */
export class StartError extends Error {
  /** The error's name: "ENOENT". */
  readonly code: string;

  constructor(message: string, code: string) {
    super(message);
    this.name = "StartError";
    this.code = code;
  }
}

type WithoutNumber<T> = T extends unknown ? Omit<T, "fork"> : never;
/** The init's reports to the zygote. */
export type InitStatus = WithoutNumber<Status>;

/** Starts the program and stays until it ends. @throws StartError when it cannot be started */
export function runAsInit(
  program: Program,
  statusPipe: number,
  report: (descriptor: number, status: InitStatus) => void,
): never {
  const pid = startProgram(program);
  report(statusPipe, { is: "started", program: pid });
  // Pipes of the program's must end when the program closes them.
  sys.dup2(statusPipe, REPORT_FD);
  closeAllBut([REPORT_FD]);
  try {
    const end = reapUntil(pid);
    report(REPORT_FD, { is: "ended", end });
    return exitNow(end.code ?? 1);
  } catch (error) {
    // The descriptor that the zygote would be told through is closed by now.
    report(REPORT_FD, { is: "failed", message: (error as Error).message });
    return exitNow(1);
  }
}

function startProgram({ argv, env, workingDirectory, terminal, policy }: Program): number {
  sys.blockSignals();
  try {
    sys.chdir(workingDirectory);
  } catch (error) {
    throw new StartError(
      `the working directory ${workingDirectory} cannot be entered: ${(error as Error).message}`,
      codeOf(error),
    );
  }
  const options = {
    argv,
    env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    session: policy === "command",
    terminal: terminal && TERMINAL,
  };
  let refusal: unknown;
  for (const path of candidates(argv[0] as string, env.PATH ?? DEFAULT_PATH)) {
    try {
      // A check is cheaper than a process that finds no program.
      accessSync(path, constants.X_OK);
      return sys.posixSpawn(path, options);
    } catch (error) {
      // A program that is there and may not be started is the better reason, as in execvp(3).
      if (refusal === undefined || codeOf(refusal) === "ENOENT") refusal = error;
      if (!["ENOENT", "ENOTDIR", "EACCES"].includes(codeOf(error))) break;
    }
  }
  throw new StartError(`execve(${argv[0]}) failed: ${codeOf(refusal)}`, codeOf(refusal));
}

function candidates(name: string, path: string): string[] {
  return name.includes("/") ? [name] : path.split(":").map((directory) => `${directory || "."}/${name}`);
}

/** Collects whatever ends, until the program has. */
function reapUntil(program: number): ProgramEnd {
  const word = Buffer.alloc(4);
  while (sys.waitpid(ANY_CHILD, word, 0) !== program);
  return endOf(word.readInt32LE(0));
}

function codeOf(error: unknown): string {
  return (error as { code?: string }).code ?? "";
}

/** The sandbox's side: the first pair of its instance. */
export const TERMINAL = "/dev/pts/0";
