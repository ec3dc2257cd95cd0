/** Invocations as a gateway would make them. */
import { type ChildProcess, fork } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import type { BodyInTransit, Invocation } from "../../functions/model/invocation.ts";
import type { TestRedis } from "./redis.ts";
import { stretched } from "./slowness.ts";

export function newInvocation(parts: Partial<Invocation> & { body?: BodyInTransit } = {}): Invocation {
  const { body = null, ...rest } = parts;
  const nowMs = Date.now();
  return {
    id: randomUUID(),
    tenant: "main",
    functionName: "hello",
    version: "a".repeat(64),
    replyTo: "gateway",
    request: { method: "GET", url: "http://a/fn/main/hello", path: "/", headers: [], remoteAddress: "127.0.0.1", body },
    enqueuedAtMs: nowMs,
    expiresAtMs: nowMs + stretched(60_000),
    ...rest,
  };
}

/**
 * A worker in a process of its own that takes calls and never answers; resolves when it takes them.
 */
export async function startSilentWorker(redis: TestRedis, slots = 100): Promise<SilentWorker> {
  const path = new URL("./queue-worker.ts", import.meta.url).pathname;
  const child = fork(path, [redis.url.replace("unix://", ""), String(slots)]);
  await once(child, "message");
  return new SilentWorker(child);
}

export class SilentWorker {
  readonly #child: ChildProcess;
  readonly #running: string[] = [];
  #wake = (): void => {};

  constructor(child: ChildProcess) {
    this.#child = child;
    child.on("message", (message: { running: string }) => {
      this.#running.push(message.running);
      this.#wake();
    });
  }

  /** Resolves with the ids of the calls that it has taken when there are so many. */
  async running(count: number): Promise<string[]> {
    while (this.#running.length < count) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#running;
  }

  /** SIGKILL; resolves when it is gone. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await once(this.#child, "exit");
  }
}
