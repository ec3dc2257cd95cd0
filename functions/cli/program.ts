/** The command line: which commands there are, and what happens when one fails. */
import { Command, CommanderError } from "commander";
import { escapeControls, escapeLine } from "../../infra/std/escape.ts";
import type { AddCommand, SetExitCode } from "./command.ts";
import { COMMANDS, type CommandEntry, isAskedFor } from "./commands.ts";
import { COMPLETE } from "./completion/shells.ts";
import { CliError, EXIT_CODES, messageOf } from "./failure.ts";
import type { Io } from "./io.ts";
import { styled } from "./io.ts";

/** Runs one command line; resolves with the exit code and never rejects. */
export async function runCli(args: readonly string[], io: Io): Promise<number> {
  const json = args.slice(0, args.includes("--") ? args.indexOf("--") : undefined).includes("--json");
  const state = { exitCode: EXIT_CODES.ok.code as number };
  const program = buildProgram(io, json);
  const setExitCode = (code: number) => {
    state.exitCode = code;
  };
  try {
    await addCommands(program, args, io, setExitCode);
    if (args[0] === COMPLETE) {
      const { complete } = await import("./completion/complete.ts");
      await complete(io, args.slice(1), program);
      return state.exitCode;
    }
    await program.parseAsync([...args], { from: "user" });
    return state.exitCode;
  } catch (error) {
    if (io.interrupted.aborted && !(error instanceof CliError)) return EXIT_INTERRUPTED;
    return report(io, json, error);
  }
}

/** The exit code that shells give for a program that SIGINT ended. */
const EXIT_INTERRUPTED = 130;

function buildProgram(io: Io, json: boolean): Command {
  return (
    withCommonOptions(new Command("sandpiper"))
      .description("Serverless functions in kernel sandboxes: deploy TypeScript or JavaScript, call it over HTTP.")
      .exitOverride()
      // Options of the program stand before the command, so that a command may give `--url` a
      // meaning of its own.
      .enablePositionalOptions()
      .showSuggestionAfterError()
      .helpCommand("help [command]", "explain a command")
      .configureOutput({
        writeOut: (text) => io.stdout.write(text),
        // With --json the error is reported as JSON, once; see `report`.
        writeErr: (text) => json || io.stderr.write(text),
      })
      .addHelpText("after", overview())
  );
}

async function addCommands(program: Command, args: readonly string[], io: Io, setExitCode: SetExitCode): Promise<void> {
  const asked = COMMANDS.map((entry) => (isAskedFor(entry, args) ? entry.load() : null));
  for (const [index, complete] of (await Promise.all(asked)).entries()) {
    const add = addTo(program, COMMANDS[index] as CommandEntry);
    if (complete === null) add([]);
    else complete(add, io, setExitCode);
  }
}

function addTo(program: Command, { usage, alias, summary }: CommandEntry): AddCommand {
  return (examples, { ownUrlOption = false } = {}) => {
    const command = program.command(usage).summary(summary).description(`${summary}.`);
    if (alias !== undefined) command.alias(alias);
    return withCommonOptions(command, ownUrlOption).addHelpText("after", exampleText(examples));
  };
}

function withCommonOptions(command: Command, ownUrlOption = false): Command {
  if (!ownUrlOption) command.option("--url <url>", "the gateway's URL (environment: SANDPIPER_URL)");
  return command
    .option("--json", "print the result as JSON on stdout, and a failure as JSON on stderr")
    .option("--api-key-file <file>", "file that holds the API key (environment, the key itself: SANDPIPER_API_KEY)")
    .option("--profile <name>", "a gateway that you logged in to (environment: SANDPIPER_PROFILE)");
}

function exampleText(examples: readonly string[]): string {
  return `\nExamples:\n${examples.map((example) => `  ${example}`).join("\n")}\n`;
}

function overview(): string {
  const codes = Object.values(EXIT_CODES).map(({ code, meaning }) => `  ${code}  ${meaning}`);
  return `
The first function:
  sandpiper init hello              make a directory with a function in it
  sandpiper deploy hello            upload it; prints its URL
  sandpiper invoke hello --logs     call it, and show what it wrote
  sandpiper help deploy             more about a command, with examples

The gateway is looked for in this order:
  --url and --api-key-file, SANDPIPER_URL and SANDPIPER_API_KEY,
  the profile that --profile or SANDPIPER_PROFILE names,
  .sandpiper/connection.json here and in the directories above,
  the profile of the last \`sandpiper login\`,
  .sandpiper/connection.json in the Sandpiper checkout that this command belongs to

Exit codes:
${codes.join("\n")}
`;
}

/** Tells of a failure on stderr and gives its exit code. */
function report(io: Io, json: boolean, error: unknown): number {
  if (error instanceof CommanderError && error.exitCode === 0) return EXIT_CODES.ok.code;
  const usage = error instanceof CommanderError;
  const failure = usage ? usageFailure(error) : asFailure(error);
  if (json) {
    const { code, message, hint, requestId, exitCode } = failure;
    io.stderr.write(`${JSON.stringify({ error: { code, message, hint, requestId, exitCode } })}\n`);
  } else if (usage) {
    // commander has said what is wrong.
    io.stderr.write("`sandpiper --help` and `sandpiper help <command>` explain.\n");
  } else {
    // Words of a function's or of another machine's may be in it.
    io.stderr.write(`${styled(io.stderr, "red", "error:")} ${escapeControls(failure.message)}\n`);
    if (failure.hint) io.stderr.write(`${styled(io.stderr, "cyan", "hint:")} ${failure.hint}\n`);
    if (failure.requestId) io.stderr.write(`request id: ${escapeLine(failure.requestId)}\n`);
  }
  return failure.exitCode;
}

function usageFailure(error: CommanderError): CliError {
  return new CliError("usage", error.message.replace(/^error: /, ""), { code: "USAGE" });
}

function asFailure(error: unknown): CliError {
  if (error instanceof CliError) return error;
  const detail = error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
  return new CliError("internal", detail, { code: "INTERNAL", cause: error, hint: "this is a bug in the CLI" });
}
