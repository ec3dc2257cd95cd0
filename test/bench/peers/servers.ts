/**
 * Servers that are measured beside Sandpiper, as data: what each is started with. All answer the
 * same on the same paths.
 */
import { join } from "node:path";
import type { PeerName } from "./peers.ts";

export interface ServerKind {
  name: string;
  /** The package that it needs; null where Node and this project's own packages will do. */
  peer: PeerName | null;
  /**
   * The program and its arguments, run in a directory with everything of `apps` and the
   * `node_modules` of the peer.
   */
  argv(port: number): string[];
  environment?: Record<string, string>;
  /** Files beside those of `apps`, by name. */
  files?(port: number): Record<string, string>;
}

const NODE = process.execPath;
const ARCHITECTURE = process.arch === "x64" ? { workerd: "64", deno: "x64" } : { workerd: "arm64", deno: "arm64" };
/**
 * Programs inside the packages: what the packages have in `.bin` starts a Node first, only to start
 * the program.
 */
export const WORKERD = `node_modules/@cloudflare/workerd-linux-${ARCHITECTURE.workerd}/bin/workerd`;
export const DENO = `node_modules/@deno/linux-${ARCHITECTURE.deno}-glibc/deno`;

export const NODE_HTTP: ServerKind = {
  name: "node:http",
  peer: null,
  argv: (port) => [NODE, "node-http.mjs", String(port)],
};

export const HONO: ServerKind = { name: "bare hono", peer: null, argv: (port) => [NODE, "hono.mjs", String(port)] };

/** A new Node for each call. */
export const SPAWNING: ServerKind = {
  name: "a new process per call",
  peer: null,
  argv: (port) => [NODE, "spawning.mjs", String(port)],
};

const SERVERLESS_FILE = `
service: bench
frameworkVersion: "3"
provider: { name: aws, runtime: nodejs20.x }
plugins: [serverless-offline]
functions:
  hello: { handler: lambda.hello, events: [{ httpApi: "GET /" }] }
  json: { handler: lambda.json, events: [{ httpApi: "GET /json" }] }
  binary: { handler: lambda.binary, events: [{ httpApi: "GET /binary" }] }
`;

export const workerdKind = (configuration: (port: number) => string): ServerKind => ({
  name: "workerd",
  peer: "workerd",
  argv: () => [`./${WORKERD}`, "serve", "config.capnp"],
  files: (port) => ({ "config.capnp": configuration(port) }),
});

/**
 * Its configuration, with a socket for each of so many workers, all of the same code; the first has
 * the port itself.
 */
export function workerdConfiguration(port: number, workers = 1): string {
  const numbers = Array.from({ length: workers }, (_, index) => index);
  const modules = ["fetch.mjs", "payloads.mjs"].map((name) => `(name = "${name}", esModule = embed "${name}")`);
  return `using Workerd = import "/workerd/workerd.capnp";
const code :Workerd.Worker = (modules = [${modules.join(", ")}], compatibilityDate = "2026-01-01");
const config :Workerd.Config = (
  services = [${numbers.map((index) => `(name = "w${index}", worker = .code)`).join(", ")}],
  sockets = [${numbers
    .map((index) => {
      const address = index === 0 ? `127.0.0.1:${port}` : `unix:w${index}.sock`;
      return `(name = "s${index}", address = "${address}", http = (), service = "w${index}")`;
    })
    .join(", ")}]
);
`;
}

/** Those that run functions, or could. */
export const FUNCTION_SERVERS: readonly ServerKind[] = [
  workerdKind(workerdConfiguration),
  { name: "miniflare", peer: "miniflare", argv: (port) => [NODE, "miniflare.mjs", String(port)] },
  {
    name: "functions-framework",
    peer: "functions-framework",
    argv: (port) => [
      NODE,
      join("node_modules", "@google-cloud/functions-framework/build/src/main.js"),
      "--source=functions-framework.mjs",
      "--target=handler",
      `--port=${port}`,
    ],
  },
  {
    name: "serverless-offline",
    peer: "serverless-offline",
    // In its own process, which is the fastest that it offers: else it starts a thread for each
    // call in flight.
    argv: (port) => [
      ...[NODE, join("node_modules", "serverless/bin/serverless.js"), "offline", "start", "--useInProcess"],
      ...["--noPrependStageInUrl", "--httpPort", String(port), "--lambdaPort", String(port + 1)],
    ],
    environment: { SLS_TELEMETRY_DISABLED: "1", SLS_NOTIFICATIONS_MODE: "off" },
    files: () => ({ "serverless.yml": SERVERLESS_FILE }),
  },
];

/** Beside those of `FUNCTION_SERVERS`, a program that takes the same module as workerd does. */
export const DENO_SERVE: ServerKind = {
  name: "deno serve",
  peer: "deno",
  argv: (port) => [
    ...[`./${DENO}`, "serve", "--quiet", "--no-lock", "--host", "127.0.0.1"],
    ...["--port", String(port), "fetch.mjs"],
  ],
  environment: { DENO_DIR: "deno" },
};
