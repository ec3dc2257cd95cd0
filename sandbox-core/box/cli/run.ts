/**
 * `box run`: one command in a box, with this process's standard streams or terminal, and its exit
 * code.
 */
import { writeFileSync } from "node:fs";
import { finished } from "node:stream/promises";
import type { EgressEvent } from "../../contract/egress.ts";
import { SandboxError, StartFailure } from "../../contract/error.ts";
import type { WindowSize } from "../../contract/program.ts";
import { showAsIs } from "../../syscall/steps.ts";
import { Box } from "../box.ts";
import { type BoxEnd, exitCodeOf } from "../outcome.ts";
import { Zygote } from "../zygote.ts";
import { readOptions } from "./arguments.ts";
import { RefusalLines } from "./egress-options.ts";
import type { Surroundings } from "./process.ts";
import { register } from "./registry.ts";
import { boxOptionsOf, noOptions, RUN_OPTIONS, type RunOptions } from "./run-options.ts";
import { UsageError } from "./usage.ts";

/** As env(1), timeout(1) and docker run have them. */
const OWN_FAILURE = 125;
const NOT_EXECUTABLE = 126;
const NOT_FOUND = 127;

/** Handed on to the command; a second one ends the box. */
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;
const STDIN_FD = 0;
const MIB = 1024 * 1024;

/**
 * Runs what the words say, and gives the exit code. Rejects with nothing that its user could have
 * caused.
 */
export async function runCommand(words: readonly string[], here: Surroundings): Promise<number> {
  const options = noOptions();
  try {
    const argv = readOptions(words, RUN_OPTIONS, options);
    if (options.help) return here.showHelp("run");
    if (argv.length === 0)
      throw new UsageError("there is no command to run", "write it last: sandpiper box run -- ls /");
    return await runIn(options, argv, here);
  } catch (error) {
    if (error instanceof UsageError || error instanceof SandboxError)
      return here.fail(error, failureCode(error), options.json || words.includes("--json"));
    throw error;
  }
}

function failureCode(error: Error): number {
  if (!(error instanceof StartFailure)) return OWN_FAILURE;
  return error.code === "ENOENT" || error.code === "ENOTDIR" ? NOT_FOUND : NOT_EXECUTABLE;
}

async function runIn(options: RunOptions, argv: string[], here: Surroundings): Promise<number> {
  const terminal = windowOf(options, here);
  const { egress, ...asked } = { ...boxOptionsOf(options, argv, here.env), ...(terminal && { terminal }) };
  // Lines between those of a program that has the terminal would be in its way.
  const late: string[] = [];
  const refusals = new RefusalLines(terminal ? (line) => void late.push(line) : here.say);
  const more = egress && { egress: { ...egress, onEvent: (event: EgressEvent) => refusals.hear(event) } };
  await using zygote = await Zygote.open({ single: true, ...(egress && { egress: {} }) });
  const box = await Box.start(zygote, { ...asked, ...more });
  const unregister = register(box, argv);
  const detach = terminal ? attachTerminal(box, here) : attachPipes(box, here);
  const end = await box.ended;
  unregister();
  await detach();
  for (const line of late) here.say(line);
  tell(options, box, end, here);
  return exitCodeOf(end);
}

/** A terminal for who sits at one, unless told otherwise. */
function windowOf({ terminal }: RunOptions, { stdin, stdout }: Surroundings): WindowSize | undefined {
  if (terminal ?? (stdin.isTTY && stdout.isTTY)) return sizeOf(stdout);
  return undefined;
}

function sizeOf(stream: { columns?: number; rows?: number }): WindowSize {
  return { columns: stream.columns || 80, rows: stream.rows || 24 };
}

/**
 * Connects standard streams and signals. The result resolves when all that the box wrote is out.
 */
function attachPipes(box: Box, here: Surroundings): () => Promise<void> {
  const { stdin, stdout, stderr } = here;
  const letGo = forwardSignals(box);
  // Either end may close first, and that is no failure: the other hears of it.
  for (const stream of [box.stdin, stdin, stdout, stderr]) stream.on("error", () => undefined);
  stdin.pipe(box.stdin);
  const pairs = [
    [box.stdout, stdout],
    [box.stderr, stderr],
  ] as const;
  for (const [from, to] of pairs) {
    from.pipe(to, { end: false });
    // Nobody reads what the command writes: it is to hear of that by SIGPIPE.
    to.once("error", () => from.destroy());
  }
  return async () => {
    await Promise.all(pairs.map(([from]) => finished(from, { cleanup: true }).catch(() => undefined)));
    stdin.unpipe();
    stdin.destroy();
    letGo();
  };
}

/** Connects this terminal, every key of it, to the box's. */
function attachTerminal(box: Box, here: Surroundings): () => Promise<void> {
  const { stdin, stdout } = here;
  const { terminal } = box;
  if (!terminal) throw new Error("the box has no terminal");
  const letGo = forwardSignals(box);
  const onResize = () => terminal.resize(sizeOf(stdout));
  for (const stream of [stdin, stdout]) stream.on("error", () => undefined);
  if (stdin.isTTY) {
    stdin.setRawMode(true);
    showAsIs(STDIN_FD);
  }
  stdout.on("resize", onResize);
  stdin.pipe(terminal.input);
  terminal.output.pipe(stdout, { end: false });
  return async () => {
    await finished(terminal.output).catch(() => undefined);
    stdout.off("resize", onResize);
    stdin.unpipe();
    if (stdin.isTTY) stdin.setRawMode(false);
    stdin.destroy();
    letGo();
  };
}

function forwardSignals(box: Box): () => void {
  let seen = false;
  const onSignal = (signal: NodeJS.Signals) => {
    if (seen && !signal.startsWith("SIGUSR")) return box.kill();
    seen ||= !signal.startsWith("SIGUSR");
    box.signal(signal);
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return () => {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  };
}

function tell(options: RunOptions, box: Box, end: BoxEnd, here: Surroundings): void {
  const text = `${JSON.stringify({ id: box.id, exitCode: exitCodeOf(end), ...end, limits: box.limits })}\n`;
  if (options.report !== undefined) writeFileSync(options.report, text);
  if (options.json) return void here.stderr.write(text);
  const { memoryBytes } = box.limits;
  if (end.outcome === "timeout") here.say(`ended after its ${options.timeoutMs} ms (--timeout)`);
  if (end.outcome === "out_of_memory")
    here.say(`out of memory: it needed more than ${memoryBytes / MIB} MiB (--memory)`);
  if (end.overuse !== undefined) here.say(`ended: ${end.overuse}`);
  if (end.outcome === "platform_error") here.say("the zygote of the box was lost, and the box with it");
}
