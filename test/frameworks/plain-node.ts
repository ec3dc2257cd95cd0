/** An application under plain Node, as its users run it without a platform. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import type { App } from "./app.ts";

const SERVING = join(import.meta.dirname, "under-node.mjs");

export interface PlainNode {
  /** Without a slash at its end. */
  url: string;
  stop(): Promise<void>;
}

/** Starts it. @throws Error with what it said, when it ends before it listens */
export async function startPlain(app: App, directory: string): Promise<PlainNode> {
  const port = await freePort();
  const file = join(directory, app.plain ?? app.entry);
  const isServer = app.runs === "server" || app.plain !== undefined;
  const child = spawn(process.execPath, isServer ? [file] : [SERVING, app.runs, file], {
    cwd: directory,
    env: { PORT: String(port), NODE_ENV: "production", HOME: directory },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (text: Buffer) => {
      said = (said + text).slice(-2_000);
    });
  }
  const exited = once(child, "exit");
  const host = await Promise.race([listens(child, port), exited.then(() => null)]);
  if (host === null) throw new Error(`under plain Node it ended: ${said.trim()}`);
  return {
    url: `http://${host}:${port}`,
    async stop() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

/** The address that a process listens on, as soon as it does: nothing of it tells. */
async function listens(child: ChildProcess, port: number): Promise<string> {
  for (;;) {
    for (const host of ["127.0.0.1", "::1"]) {
      if (child.exitCode !== null || (await isReached(host, port))) return host === "::1" ? "[::1]" : host;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function isReached(host: string, port: number): Promise<boolean> {
  const socket = connect(port, host);
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
