/** `box ps`, `box stats` and `box kill`: boxes that other processes run. */
import { constants } from "node:os";
import { detectCgroups } from "../../cgroup/detect.ts";
import type { SandboxStats } from "../../contract/sandbox.ts";
import { signalProgram } from "../../syscall/signal-program.ts";
import { type OptionSpec, readOptions } from "./arguments.ts";
import type { Surroundings } from "./process.ts";
import { type BoxRecord, listBoxes } from "./registry.ts";
import { quote } from "./units.ts";
import { UsageError } from "./usage.ts";

interface LookOptions {
  json: boolean;
  help: boolean;
  signal: NodeJS.Signals;
}

const COMMON: readonly OptionSpec<LookOptions>[] = [
  {
    name: "--json",
    help: "print JSON",
    apply: (options) => {
      options.json = true;
    },
  },
  {
    name: "--help",
    short: "-h",
    help: "explain",
    apply: (options) => {
      options.help = true;
    },
  },
];

export const LOOK_OPTIONS = { ps: COMMON, stats: COMMON };
export const KILL_OPTIONS: readonly OptionSpec<LookOptions>[] = [
  {
    name: "--signal",
    short: "-s",
    value: "SIGNAL",
    help: "for its command alone, instead of the end of all that is in it (KILL)",
    apply: (options, text) => {
      options.signal = parseSignal(text);
    },
  },
  ...COMMON,
];

const MIB = 1024 * 1024;
const SHORT_ID = 12;

/** Lists the boxes that run. */
export function ps(words: readonly string[], here: Surroundings): number {
  const { options, ids } = read(words, COMMON);
  if (options.help) return here.showHelp("ps");
  if (ids.length > 0) throw new UsageError(`ps takes no ${quote(ids[0] as string)}`, "sandpiper box ps");
  const boxes = listBoxes();
  if (options.json) return print(here, boxes);
  const rows = boxes.map(({ id, pid, startedAt, argv }) => [
    id.slice(0, SHORT_ID),
    String(pid),
    ageOf(startedAt),
    commandOf(argv),
  ]);
  return table(here, ["ID", "PID", "AGE", "COMMAND"], rows);
}

/** The usage of boxes: of those that are named, or of all. */
export function stats(words: readonly string[], here: Surroundings): number {
  const { options, ids } = read(words, COMMON);
  if (options.help) return here.showHelp("stats");
  const cgroups = detectCgroups();
  const boxes = ids.length === 0 ? listBoxes() : ids.map(find);
  const used = boxes.flatMap((box) => {
    const now = cgroups.stats(box.group);
    return now ? [{ id: box.id, limits: { memoryBytes: box.memoryBytes, cpus: box.cpus }, ...now }] : [];
  });
  if (options.json) return print(here, used);
  const rows = used.map(({ id, limits, ...now }) => statsRow(id, limits, now));
  return table(here, ["ID", "CPU", "THROTTLED", "MEMORY", "PEAK", "TASKS"], rows);
}

function statsRow(id: string, limits: { memoryBytes: number }, now: SandboxStats): string[] {
  const mib = (bytes: number) => (bytes / MIB).toFixed(1);
  return [
    id.slice(0, SHORT_ID),
    `${(now.cpuMs / 1_000).toFixed(2)} s`,
    `${(now.throttledMs / 1_000).toFixed(2)} s`,
    `${mib(now.memoryBytes)} of ${mib(limits.memoryBytes)} MiB`,
    `${mib(now.peakMemoryBytes)} MiB`,
    String(now.tasks),
  ];
}

/** Ends boxes, or sends their commands a signal. */
export function kill(words: readonly string[], here: Surroundings): number {
  const { options, ids } = read(words, KILL_OPTIONS);
  if (options.help) return here.showHelp("kill");
  if (ids.length === 0)
    throw new UsageError("there is no box to end", "sandpiper box kill ID; `sandpiper box ps` lists them");
  for (const box of ids.map(find)) {
    if (options.signal === "SIGKILL") process.kill(box.pid, "SIGKILL");
    else {
      const place = { init: box.pid, program: box.commandPid };
      signalProgram(detectCgroups().members(box.group), place, constants.signals[options.signal]);
    }
    if (!options.json) here.stdout.write(`${box.id}\n`);
  }
  return options.json ? print(here, { killed: ids }) : 0;
}

function read(words: readonly string[], specs: readonly OptionSpec<LookOptions>[]) {
  const options: LookOptions = { json: false, help: false, signal: "SIGKILL" };
  const ids: string[] = [];
  for (let rest = [...words]; rest.length > 0; ) {
    rest = readOptions(rest, specs, options);
    const id = rest.shift();
    if (id !== undefined) ids.push(id);
  }
  return { options, ids };
}

/** By its id or the beginning of it. @throws UsageError when it is nobody's, or several have it */
function find(id: string): BoxRecord {
  const [found, ...more] = listBoxes().filter((box) => box.id.startsWith(id));
  if (!found) throw new UsageError(`no box ${quote(id)} runs`, "`sandpiper box ps` lists those that do");
  if (more.length > 0) throw new UsageError(`several boxes begin with ${quote(id)}`, "write more of the id");
  return found;
}

function parseSignal(text: string): NodeJS.Signals {
  const name = `SIG${text.toUpperCase().replace(/^SIG/, "")}`;
  const byNumber = Object.entries(constants.signals).find(([, number]) => String(number) === text)?.[0];
  const signal = (byNumber ?? name) as NodeJS.Signals;
  if (signal in constants.signals) return signal;
  throw new UsageError(`there is no signal ${quote(text)}`, "write TERM, HUP, USR1 or another of signal(7)");
}

function ageOf(startedAt: string): string {
  const seconds = Math.max(0, Math.round((Date.now() - Date.parse(startedAt)) / 1_000));
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7_200 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3_600)} h`;
}

/** On one line, with nothing that a terminal would take as an order. */
function commandOf(argv: readonly string[]): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is to be replaced.
  return argv.join(" ").replace(/[\u0000-\u001f\u007f-\u009f]/g, "?");
}

function print(here: Surroundings, value: unknown): number {
  here.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
  return 0;
}

function table(here: Surroundings, head: readonly string[], rows: readonly (readonly string[])[]): number {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => (row[column] ?? "").length)));
  for (const row of [head, ...rows])
    here.stdout.write(
      `${row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd()}\n`,
    );
  return 0;
}
