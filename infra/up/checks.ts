/** Conditions that must hold before anything is started. */
import { once } from "node:events";
import { createServer } from "node:net";
import { UpError } from "./failure.ts";

/** @throws UpError when this is not Linux, or not root. */
export function checkMachine(platform: string, uid: number | undefined): void {
  if (platform !== "linux") {
    throw new UpError(
      `Sandpiper runs on Linux only, as its sandboxes are made by the Linux kernel; this is ${platform}`,
      "use a Linux machine or virtual machine",
    );
  }
  if (uid !== 0) {
    throw new UpError(
      "Sandpiper must be started by root: its zygote makes namespaces and cgroups, and each sandbox runs as a user of its own",
      "type: sudo npm start",
    );
  }
}

/** @throws UpError when nothing can listen there. */
export async function checkPort(host: string, port: number): Promise<void> {
  const server = createServer().listen({ host, port, exclusive: true });
  try {
    await once(server, "listening");
  } catch (error) {
    throw cannotListen(host, port, error as NodeJS.ErrnoException);
  }
  server.close();
  await once(server, "close");
}

function cannotListen(host: string, port: number, error: NodeJS.ErrnoException): UpError {
  if (error.code === "EADDRINUSE") {
    return new UpError(
      `port ${port} on ${host} is in use`,
      `stop what listens there (ss -ltnp 'sport = :${port}' shows it), or choose another port: npm start -- --port 0 takes any free one`,
      { cause: error },
    );
  }
  return new UpError(`cannot listen on ${host} port ${port}: ${error.message}`, "choose another --host or --port", {
    cause: error,
  });
}
