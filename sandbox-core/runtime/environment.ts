/** A function's view of its process: its configured environment, and nothing of the host's. */
import { readlinkSync } from "node:fs";
import Module from "node:module";
import type { Load } from "../protocol/frames.ts";
import { FUNCTION_URL } from "./stack.ts";

/** Place of a program that nobody has to find. */
const SHOWN_NODE = "/usr/local/bin/node";

// Captured before it is replaced.
const getReport = process.report.getReport.bind(process.report);

/**
 * Parts of Node's loader without types: packages that change how modules are found have used them
 * for long.
 */
interface Loader {
  _cache: Record<string, unknown>;
  /** Finds the folders of all modules anew, by process.execPath. */
  _initPaths(): void;
}

/**
 * The environment of a version: what is configured, and over that which the function may rely on. A
 * configured value wins, except for the two names that say which function this is.
 */
export function functionEnvironment(load: Load): Record<string, string> {
  return {
    NODE_ENV: "production",
    TZ: "UTC",
    HOME: "/tmp",
    TMPDIR: "/tmp",
    PORT: "8080",
    ...load.env,
    SANDPIPER_FUNCTION: load.functionName,
    SANDPIPER_VERSION: load.version,
  };
}

/** Makes this environment the process's own, with nothing else in it. */
export function replaceProcessEnv(env: Record<string, string>): void {
  for (const name of Object.keys(process.env)) delete process.env[name];
  // A variable named "__proto__" can be set on process.env as any other: it is no ordinary object.
  for (const [name, value] of Object.entries(env)) process.env[name] = value;
}

/** Takes away what a process and Node's loader tell about the host that started it. */
export function hideHost(): void {
  const shown = {
    argv: ["node", FUNCTION_URL.slice("file://".length)],
    execArgv: [],
    execPath: SHOWN_NODE,
    report: { getReport: maskedReport },
  };
  for (const [name, value] of Object.entries(shown)) {
    Object.defineProperty(process, name, { value, configurable: true, writable: true, enumerable: true });
  }
  forgetModules();
  // Node reads the pid once at its start: a fork would show its zygote's.
  const { pid } = process;
  Object.defineProperty(process, "pid", { configurable: true, enumerable: true, get: () => currentPid() ?? pid });
}

/**
 * Node's report without command line and libraries. One that Node writes to a file itself is not
 * made: nobody could mask it.
 */
function maskedReport(error?: Error): object {
  const report = getReport(error) as { header: object; sharedObjects: string[] };
  Object.assign(report.header, { commandLine: [SHOWN_NODE] });
  report.sharedObjects = [];
  return report;
}

/**
 * Has Node's loader know no module that was loaded by us, and no folder but that of the path that
 * is shown.
 */
function forgetModules(): void {
  const loader = Module as unknown as Loader;
  for (const path of Object.keys(loader._cache)) delete loader._cache[path];
  loader._initPaths();
}

function currentPid(): number | null {
  try {
    return Number(readlinkSync("/proc/self"));
  } catch {
    return null;
  }
}
