/** Deploys the examples by running the CLI, as a user would, and calls one. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { Environment } from "../environment.ts";
import { UpError } from "./failure.ts";
import { CLI, EXAMPLES } from "./paths.ts";

export interface Gateway {
  url: string;
  apiKeyFile: string;
}

const CALL_TIMEOUT_MS = 60_000;
/** The example that is called, with what, and what it must answer. */
export const HELLO = "hello";
export const HELLO_QUERY = "/?name=Sandpiper";
const HELLO_ANSWER = "Hello, Sandpiper!";
const MAX_SHOWN = 500;
/** Of what a busy machine may be too slow for: a build in its time, or a call. */
const MOST_ATTEMPTS = 3;
/** The CLI's exit code for a gateway that cannot answer now. */
const EXIT_UNAVAILABLE = 7;

/** Names of the examples: every directory with a configuration in it. */
export function listExamples(): string[] {
  return readdirSync(EXAMPLES, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(EXAMPLES, entry.name, "sandpiper.jsonc")))
    .map((entry) => entry.name)
    .sort();
}

/**
 * Deploys one example. @returns the function's URL.
 * @throws UpError with what the CLI said.
 */
export async function deployExample(
  name: string,
  gateway: Gateway,
  env: Environment,
  signal: AbortSignal,
): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    const { code, stdout, stderr } = await runDeploy(name, gateway, env, signal);
    if (code === 0) return stdout.trim();
    if (code === EXIT_UNAVAILABLE && attempt < MOST_ATTEMPTS) continue;
    throw new UpError(
      `the example ${name} could not be deployed:\n  ${stderr.trim().split("\n").join("\n  ")}`,
      `to see it again: npx sandpiper deploy ${join("functions", "examples", name)}`,
    );
  }
}

async function runDeploy(name: string, gateway: Gateway, env: Environment, signal: AbortSignal) {
  const args = ["deploy", join(EXAMPLES, name), "--url", gateway.url, "--api-key-file", gateway.apiKeyFile];
  const child = spawn(process.execPath, [CLI, ...args], {
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...env, NO_COLOR: "1" },
    signal,
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => {
    stdout = (stdout + chunk).slice(-10_000);
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr = (stderr + chunk).slice(-10_000);
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stdout, stderr };
}

/**
 * Calls the example `hello` and checks what it answers.
 * @param helloUrl the function's URL
 * @returns the answer. @throws UpError when it is not the right one.
 */
export async function callHello(helloUrl: string, gatewayUrl: string, signal: AbortSignal): Promise<string> {
  const url = `${helloUrl}${HELLO_QUERY}`;
  let { status, answer } = await call(url, gatewayUrl, signal);
  for (let attempt = 1; status >= 503 && attempt < MOST_ATTEMPTS; attempt++) {
    ({ status, answer } = await call(url, gatewayUrl, signal));
  }
  if (status === 200 && answer === HELLO_ANSWER) return answer.slice(0, MAX_SHOWN);
  throw new UpError(
    `the example at ${url} gave a wrong answer, with status ${status}:\n  ${JSON.stringify(answer.slice(0, MAX_SHOWN))}`,
    "npx sandpiper logs hello shows what it logged; npx sandpiper doctor shows what this machine lacks",
  );
}

async function call(url: string, gatewayUrl: string, signal: AbortSignal): Promise<{ status: number; answer: string }> {
  const patience = AbortSignal.any([signal, AbortSignal.timeout(CALL_TIMEOUT_MS)]);
  try {
    const { status, body } = await get(url, gatewayUrl, patience);
    return { status, answer: body.trim() };
  } catch (error) {
    throw new UpError(`the example at ${url} did not answer: ${(error as Error).message}`, "the lines above say why", {
      cause: error,
    });
  }
}

/** Asks the gateway by its address, as few systems look up names below localhost; curl does. */
async function get(url: string, gatewayUrl: string, signal: AbortSignal): Promise<{ status: number; body: string }> {
  const { host, hostname: name, pathname, search } = new URL(url);
  const isLocal = name.endsWith(".localhost");
  const { protocol, hostname, port } = new URL(isLocal ? gatewayUrl : url);
  const send = protocol === "https:" ? requestHttps : requestHttp;
  const to = { protocol, hostname: hostname.replace(/^\[|\]$/g, ""), port, path: pathname + search };
  const options = { ...to, ...(isLocal && { servername: name }), headers: { host }, signal };
  const request = send(options).end();
  const [response] = (await once(request, "response")) as [IncomingMessage];
  return { status: response.statusCode ?? 0, body: await text(response) };
}
