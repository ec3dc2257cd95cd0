/** A function's view of its process: its configured environment, and nothing of the host's. */
import { readlinkSync } from "node:fs";
import type { Load } from "../protocol/frames.ts";
import { FUNCTION_FILE } from "./stack.ts";
import { coverThreads, showProgram } from "./threads.ts";

/** Place of a program that nobody has to find. */
const SHOWN_NODE = "/usr/local/bin/node";

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

/** Takes away what a process, its threads and Node's loader tell about the host that started it. */
export function hideHost(): void {
  showProgram({ execPath: SHOWN_NODE, argv: ["node", FUNCTION_FILE], execArgv: [] });
  coverThreads(SHOWN_NODE, null);
  // Node reads the pid once at its start: a fork would show its zygote's.
  const { pid } = process;
  Object.defineProperty(process, "pid", { configurable: true, enumerable: true, get: () => currentPid() ?? pid });
}

/** Has TLS in this process, and in threads that begin later, trust a certificate as an issuer's. */
export function trustIssuer(certificate: string): void {
  coverThreads(SHOWN_NODE, certificate);
}

function currentPid(): number | null {
  try {
    return Number(readlinkSync("/proc/self"));
  } catch {
    return null;
  }
}
