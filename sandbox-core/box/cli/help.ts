/** The text of `sandpiper box --help`. */
import { describeOptions } from "./arguments.ts";
import { KILL_OPTIONS, LOOK_OPTIONS } from "./look.ts";
import { RUN_OPTIONS } from "./run-options.ts";

const OVERVIEW = `Usage: sandpiper box run [options] [--] COMMAND...
       sandpiper box ps | stats | kill

Runs any command in a sandbox: namespaces, a control group, a root, a user and a
system-call filter of its own. It takes root, and no gateway.

Commands:
  run    run a command, with its output and its exit code
  ps     list the boxes that run
  stats  show what they use
  kill   end one, or send it a signal

Examples:
  sandpiper box run -- ls -l /
  sandpiper box run --memory 64m --cpus 0.5 --timeout 5s -- node -e 'console.log(1)'
  sandpiper box run --bind ./src:/src:ro --workdir /src -- python3 main.py
  sandpiper box run -it -m 64m -- bash
`;

const RUN = `Usage: sandpiper box run [options] [--] COMMAND...

Runs a command in a box. Its root is the host's /usr, read-only, with an /etc, a
/dev, a /proc and a /tmp of its own. On a terminal it gets a terminal of its own.

Options:
${describeOptions(RUN_OPTIONS)}
Exit codes:
  the command's own, or 128 and the number of the signal that ended it
  124  it was ended by --timeout
  125  the box could not be made, or the command line is wrong
  126  the command cannot be executed
  127  the command is not there
`;

const TEXTS: Record<string, string> = {
  run: RUN,
  ps: `Usage: sandpiper box ps [options]\n\nLists the boxes that run.\n\nOptions:\n${describeOptions(LOOK_OPTIONS.ps)}`,
  stats: `Usage: sandpiper box stats [options] [ID...]\n\nShows what boxes use: all, or those that are named.\n\nOptions:\n${describeOptions(LOOK_OPTIONS.stats)}`,
  kill: `Usage: sandpiper box kill [options] ID...\n\nEnds boxes and all that is in them.\n\nOptions:\n${describeOptions(KILL_OPTIONS)}`,
};

/** The help of a command, or of all. */
export function helpOf(command?: string): string {
  return TEXTS[command ?? ""] ?? OVERVIEW;
}
