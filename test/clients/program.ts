/** Servers that are programs of the system's. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, type Server } from "node:net";
import type { RunningServer } from "./example.ts";

/** Nobody: databases do not run as root. */
export const NOBODY = 65_534;
const PAUSE_MS = 20;

export interface ServerProgram {
  program: string;
  args: readonly string[];
  /** The user that it runs as, unless that is root. */
  uid?: number;
  address: string;
  port: number;
}

/** Starts a program; resolves once it accepts connections. @throws Error with its last words */
export async function startProgram({ program, args, uid, address, port }: ServerProgram): Promise<RunningServer> {
  const user = uid === undefined ? {} : { uid, gid: uid };
  const child = spawn(program, args, { cwd: "/", stdio: ["ignore", "ignore", "pipe"], ...user });
  let words = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    words = (words + text).slice(-2_000);
  });
  const gone = once(child, "exit");
  while (!(await accepts(address, port))) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${program} ended: ${words}`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  return {
    async stop() {
      child.kill("SIGTERM");
      await gone;
    },
  };
}

/** Has a server of this process listen. */
export async function listen(server: Server, address: string, port: number): Promise<RunningServer> {
  server.listen(port, address);
  await once(server, "listening");
  return { stop: () => server.close() };
}

function accepts(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, address);
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}
