/** `sandpiper box`, as a process of its own: it concerns this machine, and no gateway. */
import { helpOf } from "./help.ts";
import { kill, ps, stats } from "./look.ts";
import { surroundings } from "./process.ts";
import { runCommand } from "./run.ts";
import { UsageError } from "./usage.ts";

const EXIT_USAGE = 2;
const LOOKS = { ps, stats, kill };

const here = surroundings(process.env, helpOf);
const [command = "--help", ...words] = process.argv.slice(2);
process.exitCode = await dispatch();

async function dispatch(): Promise<number> {
  if (command === "run") return runCommand(words, here);
  if (command === "--help" || command === "-h" || command === "help") return here.showHelp(words[0]);
  try {
    if (Object.hasOwn(LOOKS, command)) return LOOKS[command as keyof typeof LOOKS](words, here);
    throw new UsageError(`box has no command ${JSON.stringify(command)}`, "`sandpiper box --help` lists them");
  } catch (error) {
    if (error instanceof UsageError) return here.fail(error, EXIT_USAGE, words.includes("--json"));
    throw error;
  }
}
