/** The gateway and the workers as programs to supervise. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Environment } from "../environment.ts";
import type { ServiceMessage } from "../service.ts";
import { SERVICE_NODE_FLAGS } from "../service-flags.ts";
import { UpError } from "./failure.ts";
import { script } from "./paths.ts";
import type { Program } from "./supervisor.ts";

export interface ServiceSpec {
  name: string;
  /** Path of its script below the root, without ending: "gateway/main". */
  main: string;
  /** Asked for at every start. */
  env: () => Environment;
  onReady?: (facts: Record<string, unknown>) => void;
}

/**
 * A program that runs a script under this very Node and says over IPC when it is ready (see
 * service.ts).
 */
export function serviceProgram(spec: ServiceSpec): Program {
  return {
    name: spec.name,
    spawn: () =>
      spawn(process.execPath, [...SERVICE_NODE_FLAGS, script(spec.main)], {
        detached: true,
        env: spec.env() as NodeJS.ProcessEnv,
        stdio: ["ignore", "inherit", "inherit", "ipc"],
      }),
    async ready(child) {
      const message = await firstMessage(child);
      if (message.type === "failed") throw failure(spec.name, message);
      spec.onReady?.(message.facts);
    },
    listen: (child, heard) => void child.on("message", heard),
  };
}

/** A failure that would come again is told as it is. */
function failure(name: string, { message, isFinal }: Extract<StartMessage, { type: "failed" }>): Error {
  if (!isFinal) return new Error(message);
  return new UpError(`the ${name} could not start: ${message}`, "put that right, then start again");
}

type StartMessage = Exclude<ServiceMessage, { type: "alive" }>;

async function firstMessage(child: ChildProcess): Promise<StartMessage> {
  for (;;) {
    const [message] = (await once(child, "message")) as [StartMessage | null];
    if (message?.type === "ready" || message?.type === "failed") return message;
  }
}
