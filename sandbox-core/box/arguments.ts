/** Reading a command line whose options end where a foreign command begins. */
import { UsageError } from "./usage.ts";

export interface OptionSpec<T> {
  /** "--memory" */
  name: string;
  short?: string;
  /** What stands for its value in the help; an option without is a switch. */
  value?: string;
  help: string;
  /** Notes it in the result; `text` is "" for a switch. @throws UsageError */
  apply: (result: T, text: string) => void;
}

/**
 * Applies the options at the beginning, and gives the rest: from the first word that is no option on, or after `--`.
 * @throws UsageError that names the option
 */
export function readOptions<T>(words: readonly string[], specs: readonly OptionSpec<T>[], result: T): string[] {
  const rest = [...words];
  while (rest[0]?.startsWith("-") && rest[0] !== "-") {
    const word = rest.shift() as string;
    if (word === "--") break;
    takeOption(word, rest, specs, result);
  }
  return rest;
}

function takeOption<T>(word: string, rest: string[], specs: readonly OptionSpec<T>[], result: T): void {
  const [name, attached] = splitOnce(word);
  const spec = specs.find((known) => known.name === name || known.short === name);
  if (!spec) throw new UsageError(`there is no option ${name}`, suggestion(name, specs));
  if (spec.value === undefined) {
    if (attached !== undefined) throw new UsageError(`${name} takes no value`, `write ${name} alone`);
    spec.apply(result, "");
    return;
  }
  const text = attached ?? rest.shift();
  if (text === undefined) throw new UsageError(`${name} lacks its value`, `write ${name} ${spec.value}`);
  applyValue(spec, result, text);
}

function applyValue<T>(spec: OptionSpec<T>, result: T, text: string): void {
  try {
    spec.apply(result, text);
  } catch (error) {
    if (error instanceof UsageError) throw new UsageError(`${spec.name}: ${error.message}`, error.hint);
    throw error;
  }
}

function splitOnce(word: string): [name: string, value: string | undefined] {
  const at = word.startsWith("--") ? word.indexOf("=") : -1;
  return at === -1 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)];
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
