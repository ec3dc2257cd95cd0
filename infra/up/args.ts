/** The command line of `npm start`. */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { UpError } from "./failure.ts";

export interface UpArgs {
  help: boolean;
  /** Deploy, call, stop again. */
  once: boolean;
  workers: number;
  host: string;
  /** 0: any free port. */
  port: number;
  /** Absolute. */
  dataDir: string;
  /**
   * Walls that sandboxes may do without, separated by commas; null: as SANDPIPER_ALLOW_DEGRADED
   * says.
   */
  allowDegraded: string | null;
}

/** Values of options that are not given. */
export type UpDefaults = Pick<UpArgs, "host" | "port" | "dataDir">;

export const HELP = `Starts Sandpiper on this machine: Redis, gateway, workers, and the examples.

Usage: npm start -- [options]

  --once         start, deploy, call one example, stop; exits 0 if the answer was right
  --workers N    worker processes (default 1)
  --port N       port of the gateway (default SANDPIPER_PORT or 8787; 0 takes any free one)
  --host ADDRESS address that the gateway listens on (default SANDPIPER_HOST or 127.0.0.1)
  --data DIR     where keys, bundles and Redis's file are kept (default SANDPIPER_DATA_DIR, or .sandpiper in the checkout)
  --allow-degraded WALL,...
                 walls that sandboxes may do without where this machine lacks them: swap-limit, ... (docs/SECURITY-MODEL.md)
  --help         show this

With REDIS_URL set, that Redis is used and none is started.
Every other setting is an environment variable: see docs/CONFIGURATION.md.
`;

const MAX_WORKERS = 64;

/**
 * Parses what follows `npm start --`.
 * @param base directory that a relative `--data` is relative to.
 * @throws UpError naming the option that is wrong.
 */
export function parseUpArgs(argv: readonly string[], base: string, defaults: UpDefaults): UpArgs {
  const values = parseOptions(argv);
  if (values.data === "") throw usage("--data must name a directory");
  if (values.host === "") throw usage("--host must be an address");
  return {
    help: values.help ?? false,
    once: values.once ?? false,
    workers: wholeNumber("--workers", values.workers ?? "1", 1, MAX_WORKERS),
    host: values.host ?? defaults.host,
    port: wholeNumber("--port", values.port ?? String(defaults.port), 0, 65_535),
    dataDir: values.data === undefined ? defaults.dataDir : resolve(base, values.data),
    allowDegraded: values["allow-degraded"] ?? null,
  };
}

function parseOptions(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      strict: true,
      options: {
        help: { type: "boolean", short: "h" },
        once: { type: "boolean" },
        workers: { type: "string" },
        port: { type: "string" },
        host: { type: "string" },
        data: { type: "string" },
        "allow-degraded": { type: "string" },
      },
    }).values;
  } catch (error) {
    throw usage((error as Error).message.split(". ")[0] ?? "bad option");
  }
}

function wholeNumber(option: string, text: string, min: number, max: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw usage(`${option} must be a whole number from ${min} to ${max}, not ${JSON.stringify(text)}`);
}

function usage(message: string): UpError {
  return new UpError(message, "npm start -- --help lists the options");
}
