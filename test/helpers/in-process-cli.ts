/**
 * Runs the `sandpiper` command in this process: for tests of many commands, as a process takes its
 * time to start.
 */
import { PassThrough, Readable } from "node:stream";
import { text } from "node:stream/consumers";
import type { Io } from "../../functions/cli/io.ts";
import { runCli } from "../../functions/cli/program.ts";
import { type CliOptions, type CliResult, NO_PROFILES } from "./cli.ts";

export type CommandResult = CliResult;

/** Runs the command to its end, without a terminal. */
export async function runCommand(
  args: string[],
  { cwd, env = {}, input = "" }: Omit<CliOptions, "nodeArguments">,
): Promise<CommandResult> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const said = Promise.all([text(stdout), text(stderr)]);
  const code = await runCli(args, {
    env: { NO_COLOR: "1", XDG_CONFIG_HOME: NO_PROFILES, ...env },
    cwd,
    stdin: Object.assign(Readable.from([Buffer.from(input)]), { fd: -1 }) as unknown as Io["stdin"],
    stdout: stdout as unknown as Io["stdout"],
    stderr: stderr as unknown as Io["stderr"],
    interrupted: new AbortController().signal,
  });
  stdout.end();
  stderr.end();
  const [out, err] = await said;
  return { code, stdout: out, stderr: err };
}
