/** The words that may stand next on a command line, for a shell that completes them. */
import type { Argument, Command, Option } from "commander";
import { COMMANDS } from "../commands.ts";

export interface Candidate {
  word: string;
  description: string;
}

/** Arguments of commands that are the name of a function which is deployed. */
const FUNCTION_ARGUMENT = "function";

/**
 * The candidates for the last of the words; none where names of files are meant, or nothing is
 * known.
 * @param words those behind `sandpiper`, the last of them as far as it is typed.
 * @param program has the command that the words name, complete.
 * @param functionNames asks a gateway, and is called when a function's name is to come.
 */
export async function candidatesFor(
  words: readonly string[],
  program: Command,
  functionNames: () => Promise<string[]>,
): Promise<Candidate[]> {
  const typed = words.at(-1) ?? "";
  const { command, given, open } = walk(program, words.slice(0, -1));
  const all = open !== null ? valuesOf(open) : typed.startsWith("-") ? optionsOf(command) : null;
  const found = all ?? (await namesFor(command === program ? null : command, given, functionNames));
  return found.filter(({ word }) => word.startsWith(typed));
}

interface Place {
  /** The program's own, until a command is named. */
  command: Command;
  /** How many arguments the command has. */
  given: number;
  /** The option that the next word is the value of. */
  open: Option | null;
}

/** Follows the words that are complete. */
function walk(program: Command, words: readonly string[]): Place {
  const place: Place = { command: program, given: 0, open: null };
  for (const word of words) {
    if (place.open !== null) place.open = null;
    else if (word.startsWith("-")) place.open = optionThatTakes(place.command, word);
    else if (place.command === program) place.command = commandOf(program, word) ?? program;
    else place.given += 1;
  }
  return place;
}

/** The option of that word, when its value is the next one. */
function optionThatTakes(command: Command, word: string): Option | null {
  const option = command.options.find(({ short, long }) => word === short || word === long);
  return option?.required === true ? option : null;
}

function commandOf(program: Command, word: string): Command | undefined {
  return program.commands.find((command) => command.name() === word || command.aliases().includes(word));
}

function valuesOf({ argChoices }: Option | Argument): Candidate[] {
  return (argChoices ?? []).map((word) => ({ word, description: "" }));
}

function optionsOf(command: Command): Candidate[] {
  return command
    .createHelp()
    .visibleOptions(command)
    .map(({ long, short, description }) => ({ word: long ?? short ?? "", description }));
}

function namesFor(command: Command | null, given: number, functionNames: () => Promise<string[]>) {
  const asksForHelp = command?.name() === "help";
  if (command === null || (asksForHelp && given === 0)) return commandNames();
  const argument = command.registeredArguments[given];
  if (argument === undefined) return [];
  if (argument.name() !== FUNCTION_ARGUMENT) return valuesOf(argument);
  return functionNames().then((names) => names.map((word) => ({ word, description: "" })));
}

function commandNames(): Candidate[] {
  const help = { word: "help", description: "explain a command" };
  return [
    ...COMMANDS.map(({ usage, summary }) => ({ word: usage.split(" ", 1)[0] ?? "", description: summary })),
    help,
  ];
}
