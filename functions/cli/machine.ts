/**
 * The checks of `doctor`: the machine, through the worker's own script, and what the CLI can see by
 * itself.
 */
import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { z } from "zod";
import { MIB } from "../../infra/std/bytes.ts";
import { readySchema } from "../api/schemas.ts";
import { exchange, textOf } from "./client/http.ts";
import { CliError, messageOf } from "./failure.ts";
import type { Io } from "./io.ts";
import { packageModule } from "./paths.ts";

/** One fact of this machine, and what to do when it is a bad one. */
export interface Check {
  name: string;
  ok: boolean;
  detail: string;
  fix?: string | undefined;
  /** How many sandboxes the machine can have by this limit. */
  sandboxes?: number | undefined;
}

const SCRIPT_TIMEOUT_MS = 60_000;
const SCRIPT_OUTPUT_BYTES = 4 * MIB;

const checkSchema = z.object({
  name: z.string(),
  ok: z.boolean(),
  detail: z.string().default(""),
  fix: z.string().nullish(),
  sandboxes: z.number().optional(),
});
/** A gateway that is older than its CLI may not say it. */
const remarksSchema = readySchema.pick({ degraded: true, clocks: true, warnings: true }).partial();
/** The fields read of an attestation; all of it is passed on as it is. */
const attestedSchema = z.looseObject({
  ok: z.boolean(),
  walls: z.array(
    z.object({
      name: z.string(),
      flaw: z.string().nullable(),
      allowed: z.boolean(),
      without: z.string(),
      fix: z.string(),
    }),
  ),
  posture: z.record(z.string(), z.unknown()),
});
export type Attested = z.infer<typeof attestedSchema>;
const reportSchema = z.object({ checks: z.array(checkSchema) });

/**
 * The kernel's offer for isolation, line by line, as the worker's script finds it. Never throws.
 */
export async function isolationChecks(io: Io): Promise<Check[]> {
  try {
    const { checks } = reportSchema.parse(await runWorkersDoctor(io, ["--json"]));
    return checks.map(({ fix, ...check }) => ({ ...check, fix: fix ?? undefined }));
  } catch (error) {
    const fix = error instanceof CliError ? error.hint : undefined;
    return [{ name: "isolation", ok: false, detail: `cannot be looked at: ${messageOf(error)}`, fix }];
  }
}

/** A sandbox of this machine, wall by wall. @throws CliError when none can be made */
export async function attestation(io: Io): Promise<Attested> {
  return attestedSchema.parse(await runWorkersDoctor(io, ["--attest", "--json"]));
}

async function runWorkersDoctor(io: Io, args: string[]): Promise<unknown> {
  const script = packageModule("worker/doctor");
  if (script === null) {
    const hint = "run doctor from an installation of Sandpiper with its worker";
    throw new CliError("internal", "this installation has no worker", { code: "NO_WORKER", hint });
  }
  const run = promisify(execFile);
  const options = { cwd: io.cwd, timeout: SCRIPT_TIMEOUT_MS, maxBuffer: SCRIPT_OUTPUT_BYTES, signal: io.interrupted };
  const { stdout } = await run(process.execPath, [script, ...args], options).catch(
    (error: { stdout?: string; stderr?: string }) => {
      // A machine with something missing: the report is there, and the exit code is not 0.
      if (error.stdout) return { stdout: error.stdout };
      const message = lastLineOf(error.stderr) ?? messageOf(error);
      throw new CliError("internal", message, { code: "DOCTOR_FAILED", cause: error });
    },
  );
  return JSON.parse(stdout);
}

function lastLineOf(text: string | undefined): string | undefined {
  return text?.trim().split("\n").at(-1) || undefined;
}

/** Whether what Sandpiper is made of is there: the user, Node, Redis. */
export function installationChecks(io: Io): Check[] {
  return [userCheck(), nodeCheck(), redisCheck(io)];
}

function userCheck(): Check {
  const root = process.getuid?.() === 0;
  return {
    name: "user",
    ok: root,
    detail: root ? "root" : `not root: user id ${process.getuid?.() ?? "unknown"}`,
    fix: root ? undefined : "the zygote needs root to make sandboxes: run doctor and npm start as root",
  };
}

function nodeCheck(): Check {
  const packageName = `node-linux-${process.arch}`;
  let pinned = true;
  try {
    createRequire(import.meta.url).resolve(`${packageName}/package.json`);
  } catch {
    pinned = false;
  }
  const right = process.version.startsWith("v24.");
  return {
    name: "node",
    ok: right,
    detail: `${process.version}, ${pinned ? `from the package ${packageName}` : `not pinned: no package ${packageName}`}`,
    fix: right ? undefined : `npm install ${packageName}@24`,
  };
}

function redisCheck(io: Io): Check {
  const server = (io.env.PATH ?? "")
    .split(delimiter)
    .filter(Boolean)
    .map((directory) => join(directory, "redis-server"))
    .find(isExecutable);
  // REDIS_URL may hold a password, so it is not shown.
  if (io.env.REDIS_URL) return { name: "redis", ok: true, detail: "REDIS_URL is set" };
  return {
    name: "redis",
    ok: server !== undefined,
    detail: server ?? "no redis-server on PATH, and REDIS_URL is not set",
    fix: server === undefined ? "apt-get install redis-server, or set REDIS_URL" : undefined,
  };
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Whether the gateway at this URL is ready to take calls. Never throws. */
export async function gatewayCheck(url: string, signal: AbortSignal): Promise<Check> {
  try {
    const answer = await exchange({ method: "GET", url: `${url}/readyz`, headers: [], signal });
    const text = await textOf(answer);
    if (answer.status === 200) return { name: "gateway", ok: true, detail: `${url} is ready${remarks(text)}` };
    return {
      name: "gateway",
      ok: false,
      detail: `${url} is not ready: status ${answer.status} ${text.slice(0, 300).trim()}`,
    };
  } catch (error) {
    return failedCheck("gateway", error);
  }
}

/**
 * A ready gateway's words on walls that its workers do without, on wrong clocks and other troubles.
 */
function remarks(text: string): string {
  const { degraded = [], clocks = [], warnings = [] } = remarksSchema.parse(JSON.parse(text));
  const walls = degraded.length > 0 ? `, and its workers do without ${degraded.join(", ")}` : "";
  const times = clocks.length > 0 ? `; clocks are wrong: ${clocks.join(", ")}` : "";
  return [walls + times, ...warnings].join(" ").trimEnd();
}

/** A check that failed by an error, with its hint as the fix. */
export function failedCheck(name: string, error: unknown): Check {
  return { name, ok: false, detail: messageOf(error), fix: error instanceof CliError ? error.hint : undefined };
}
