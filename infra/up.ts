/**
 * `npm start`: all of Sandpiper on one machine, out of one command. The command starts a private
 * Redis, a gateway and workers, keeps them running, deploys the examples, calls one and says what
 * to do next. Ctrl-C drains and leaves nothing behind.
 */
import { join } from "node:path";
import { type Config, loadConfig } from "./config.ts";
import { ConfigError } from "./environment.ts";
import { LineSink } from "./line-sink.ts";
import { HELP, parseUpArgs, type UpArgs } from "./up/args.ts";
import { checkMachine, checkPort } from "./up/checks.ts";
import { openDataDir } from "./up/data-dir.ts";
import { callHello, deployExample, HELLO, listExamples } from "./up/examples.ts";
import { Interrupted, UpError } from "./up/failure.ts";
import { explainFailure } from "./up/hints.ts";
import { UpInstance } from "./up/instance.ts";
import { ROOT } from "./up/paths.ts";
import { listenForEnd } from "./up/signals.ts";
import { createSteps, type Screen, type Steps } from "./up/steps.ts";
import { summary } from "./up/summary.ts";

const DEFAULT_DATA_DIR = join(ROOT, ".sandpiper");
const output = new LineSink(1);
const SCREEN: Screen = { write: (text) => output.write(text), isTTY: process.stdout.isTTY };

async function main(): Promise<number> {
  const config = loadConfig({ SANDPIPER_DATA_DIR: DEFAULT_DATA_DIR, ...process.env });
  const args = parseUpArgs(process.argv.slice(2), process.cwd(), config);
  if (args.help) {
    process.stdout.write(HELP);
    return 0;
  }
  checkMachine(process.platform, process.getuid?.());
  return await up(args, config, createSteps(SCREEN, !process.env.NO_COLOR)).catch((error: unknown) => {
    throw explainFailure(error, args.dataDir);
  });
}

/** Starts, shows and ends everything; the exit code. */
async function up(args: UpArgs, { hangLimitMs, allowRedis }: Config, steps: Steps): Promise<number> {
  const signals = listenForEnd();
  const broken = Promise.withResolvers<never>();
  const dir = openDataDir(args.dataDir);
  const parts = { args, dir, env: process.env, steps, signals, hangLimitMs, allowRedis };
  const instance = new UpInstance({ ...parts, gaveUp: broken.reject });
  const ended = new Promise<void>((resolve) => signals.end.addEventListener("abort", () => resolve(), { once: true }));
  try {
    const interrupted = ended.then(() => {
      throw new Interrupted();
    });
    const started = start(instance, args, dir.apiKeyFile, steps, signals.end);
    await Promise.race([started, interrupted, broken.promise]);
    if (!args.once) await Promise.race([ended, broken.promise]);
    return 0;
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    return 130;
  } finally {
    await steps.run("Stop", () => instance.stop());
  }
}

/** From nothing to an example that answered. */
async function start(
  instance: UpInstance,
  args: UpArgs,
  apiKeyFile: string,
  steps: Steps,
  signal: AbortSignal,
): Promise<void> {
  if (args.port !== 0) await checkPort(args.host, args.port);
  const url = await instance.start();
  const examples: [name: string, url: string][] = [];
  for (const name of listExamples()) {
    const deploy = () => deployExample(name, { url, apiKeyFile }, process.env, signal);
    examples.push([name, await steps.run(`Deploy the example ${name}`, deploy)]);
  }
  const answer = await steps.run(
    "Call the example hello",
    () => callHello(new Map(examples).get(HELLO) ?? "", url, signal),
    (text) => JSON.stringify(text),
  );
  const found = args.dataDir === DEFAULT_DATA_DIR;
  SCREEN.write(summary({ url, apiKeyFile, found, once: args.once, cwd: process.cwd(), examples, answer }));
}

function report(error: unknown): number {
  if (error instanceof UpError) {
    process.stderr.write(`error: ${error.message}\n${error.hint}\n`);
  } else if (error instanceof ConfigError) {
    process.stderr.write(`error: ${error.message}\ndocs/CONFIGURATION.md describes every variable\n`);
  } else {
    process.stderr.write(`error: ${(error as Error).stack ?? String(error)}\n`);
  }
  return 1;
}

process.exit(await main().catch(report));
