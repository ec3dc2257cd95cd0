/**
 * The command line of a test's long form, `[--cache DIRECTORY] [--list] [NAME...]`: which of its
 * cases run, and where packages are kept that npm installs for them, outside of the tree.
 */
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

interface Named {
  readonly name: string;
}

/** The names and words of a long form. */
export interface LongForm<Case extends Named> {
  /** Its script in package.json, such as "test:egress". */
  script: string;
  /** The directory's name in the user's cache. */
  cacheName: string;
  cases: readonly Case[];
  /** A case in words, such as "example". */
  noun: string;
}

/** Prints a text. Gives the exit code of what went well. */
export function say(text: string): number {
  process.stdout.write(text);
  return 0;
}

/**
 * Runs what the command line asks for, and sets the exit code: that of `run`, or 2 with the usage
 * when it throws.
 * @param run gets the cases that were named, or all of them
 */
export async function runLongForm<Case extends Named>(
  form: LongForm<Case>,
  run: (cases: readonly Case[], cache: string) => Promise<number>,
): Promise<void> {
  const usage = `Usage: npm run ${form.script} -- [--cache DIRECTORY] [--list] [NAME...]\n`;
  try {
    const { cases, cache, list, help } = readArguments(form);
    if (help) process.exitCode = say(usage);
    else if (list) process.exitCode = say(`${cases.map(({ name }) => name).join("\n")}\n`);
    else process.exitCode = await run(cases, cache);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${usage}`);
    process.exitCode = 2;
  }
}

/** @throws TypeError for a name that no case has */
function readArguments<Case extends Named>({ cases: all, cacheName, noun }: LongForm<Case>) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      cache: { type: "string", default: join(homedir(), ".cache/sandpiper", cacheName) },
      list: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const unknown = positionals.find((name) => !all.some((one) => one.name === name));
  if (unknown !== undefined) throw new TypeError(`there is no ${noun} ${unknown}: --list shows them`);
  const cases = all.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  return { ...values, cache: resolve(values.cache), cases };
}
