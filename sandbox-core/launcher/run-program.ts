/** Running a program in a sandbox from start to end: a build, a compiler, a tool. */
import type { Socket } from "node:net";
import { SandboxError } from "../contract/error.ts";
import type { Program } from "../contract/program.ts";
import type { SandboxLimits, SandboxUsage } from "../contract/sandbox.ts";
import type { ZygoteLauncher } from "./launcher.ts";

/** Time between two looks at a program's processor time. */
const METER_MS = 200;

export interface ProgramRun {
  program: Program;
  limits: SandboxLimits;
  /**
   * Bytes for its standard input, which ends then; without, it has none. The program is started at
   * once and may get ready, and its time begins when they are there. When they reject, nobody wants
   * it any more.
   */
  input?: Promise<Uint8Array>;
  timeoutMs: number;
  /** Most processor time of all that it starts, together; it is looked at a few times a second. */
  cpuMs?: number;
  /** Most bytes of each of stdout and stderr; a program that writes more is ended. */
  maxOutputBytes: number;
}

export interface ProgramResult {
  code: number | null;
  signal: number | null;
  stdout: Buffer;
  stderr: Buffer;
  /** Set when it was ended from outside. */
  ended?: "timeout" | "cpu limit" | "output limit" | "not wanted";
  usage: SandboxUsage;
}

/**
 * Runs a program in a sandbox of its own, with what it binds and nothing else, and gives what it
 * wrote.
 * @throws SandboxError when the sandbox cannot be made, the program cannot be started or the zygote
 * dies; whatever the program itself does is a result
 */
export async function runProgram(launcher: ZygoteLauncher, run: ProgramRun): Promise<ProgramResult> {
  const connections = [
    { name: "stdout", fds: [1] },
    { name: "stderr", fds: [2] },
    ...(run.input === undefined ? [] : [{ name: "stdin", fds: [0] }]),
  ];
  const sandbox = await launcher.start({ limits: run.limits, connections, program: run.program });
  let ended: ProgramResult["ended"];
  const end = (why: NonNullable<ProgramResult["ended"]>) => {
    ended ??= why;
    sandbox.kill(why);
  };
  let timer: NodeJS.Timeout | undefined;
  let isOver = false;
  const begin = () => {
    if (!isOver) timer = setTimeout(() => end("timeout"), run.timeoutMs);
  };
  if (run.input === undefined) begin();
  else void giveInput(sandbox.socket("stdin"), run.input).then(begin, () => end("not wanted"));
  const { cpuMs = Number.POSITIVE_INFINITY } = run;
  const meter = setInterval(() => sandbox.usage().cpuMs >= cpuMs && end("cpu limit"), METER_MS);
  const read = (name: string) => collect(sandbox.socket(name), run.maxOutputBytes, () => end("output limit"));
  const [stdout, stderr, exit] = await Promise.all([read("stdout"), read("stderr"), sandbox.exited]);
  isOver = true;
  clearTimeout(timer);
  clearInterval(meter);
  const { code, signal, usage, reason } = exit;
  if (reason !== undefined && !ended) throw new SandboxError(`the program did not run to its end: ${reason}`);
  return { code, signal, stdout, stderr, usage, ...(ended ? { ended } : {}) };
}

/** Writes all of it; a program that has ended reads none. */
async function giveInput(socket: Socket, input: Promise<Uint8Array>): Promise<void> {
  socket.on("error", () => {});
  socket.end(await input);
}

/**
 * Everything that the socket gives, up to a limit; the rest is read and dropped, so that the
 * writer's end is seen.
 */
async function collect(socket: Socket, limit: number, onLimit: () => void): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > limit) onLimit();
    else chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
