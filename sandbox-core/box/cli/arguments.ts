/** Reading a command line whose options end where a foreign command begins. */
import { type ParseArgsConfig, parseArgs } from "node:util";
import { UsageError } from "./usage.ts";

export interface OptionSpec<T> {
  /** "--memory" */
  name: string;
  short?: string;
  /** The word for the option's value in the help; an option without one is a switch. */
  value?: string;
  help: string;
  /** Notes it in the result; `text` is "" for a switch. @throws UsageError */
  apply: (result: T, text: string) => void;
}

/**
 * Applies the options at the beginning, and gives the rest: from the first word that is no option
 * on, or after `--`. Short options can stand together and beside their value, as in `-it` and
 * `-m64m` (POSIX, utility syntax guidelines 5 and 6).
 * @throws UsageError that names the option
 */
export function readOptions<T>(words: readonly string[], specs: readonly OptionSpec<T>[], result: T): string[] {
  const { tokens } = parseArgs({ args: [...words], options: optionsOf(specs), strict: false, tokens: true });
  const end = tokens.find(({ kind }) => kind !== "option");
  for (const token of tokens) {
    if (token.kind !== "option") break;
    takeOption(token, specs, result);
  }
  if (end === undefined) return [];
  return words.slice(end.kind === "positional" ? end.index : end.index + 1);
}

/** Options as `parseArgs` wants them. */
function optionsOf<T>(specs: readonly OptionSpec<T>[]): NonNullable<ParseArgsConfig["options"]> {
  const entries = specs.map(({ name, short, value }) => {
    const type = value === undefined ? ("boolean" as const) : ("string" as const);
    return [name.slice(2), { type, ...(short === undefined ? {} : { short: short.slice(1) }) }] as const;
  });
  return Object.fromEntries(entries);
}

interface OptionToken {
  name: string;
  /** As it was written; a short one of several that stand together has its dash. */
  rawName: string;
  value: string | undefined;
}

function takeOption<T>({ name, rawName, value }: OptionToken, specs: readonly OptionSpec<T>[], result: T): void {
  const spec = specs.find((known) => known.name === `--${name}`);
  if (!spec) throw new UsageError(`there is no option ${rawName}`, suggestion(rawName, specs));
  if (spec.value === undefined) {
    if (value !== undefined) throw new UsageError(`${rawName} takes no value`, `write ${rawName} alone`);
    spec.apply(result, "");
    return;
  }
  if (value === undefined) throw new UsageError(`${rawName} lacks its value`, `write ${rawName} ${spec.value}`);
  applyValue(spec, result, value);
}

function applyValue<T>(spec: OptionSpec<T>, result: T, text: string): void {
  try {
    spec.apply(result, text);
  } catch (error) {
    if (error instanceof UsageError) throw new UsageError(`${spec.name}: ${error.message}`, error.hint);
    throw error;
  }
}

function suggestion<T>(name: string, specs: readonly OptionSpec<T>[]): string {
  const near = specs.find((spec) => name.length > 3 && (spec.name.startsWith(name) || name.startsWith(spec.name)));
  return near ? `did you mean ${near.name}?` : "`sandpiper box --help` lists them; a command's own come after --";
}

/** A line for each option, in two columns. */
export function describeOptions<T>(specs: readonly OptionSpec<T>[]): string {
  const lines = specs.map(({ name, short, value, help }) => {
    const names = short === undefined ? `    ${name}` : `${short}, ${name}`;
    return [`  ${names}${value === undefined ? "" : ` ${value}`}`, help] as const;
  });
  const width = Math.max(...lines.map(([left]) => left.length));
  return lines.map(([left, help]) => `${left.padEnd(width)}  ${help}\n`).join("");
}
