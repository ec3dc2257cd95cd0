/** Redis commands of one turn of the event loop, sent together: one write instead of one each. */
import type { ChainableCommander, Redis } from "ioredis";

interface Batch {
  pipeline: ChainableCommander;
  waiting: { resolve: (value: unknown) => void; reject: (error: unknown) => void }[];
}

const open = new WeakMap<Redis, Batch>();

/**
 * Adds one command to what this turn of the event loop sends on a connection.
 * @param queue queues exactly one command.
 * @returns the command's reply.
 * @throws what ioredis throws for this command.
 */
export function inTick(redis: Redis, queue: (pipeline: ChainableCommander) => unknown): Promise<unknown> {
  let batch = open.get(redis);
  if (!batch) {
    batch = { pipeline: redis.pipeline(), waiting: [] };
    open.set(redis, batch);
    // Not the next microtask: by the check phase every socket that was readable in this turn has had its say.
    setImmediate(send, redis, batch);
  }
  const { pipeline, waiting } = batch;
  return new Promise((resolve, reject) => {
    queue(pipeline);
    waiting.push({ resolve, reject });
  });
}

function send(redis: Redis, { pipeline, waiting }: Batch): void {
  open.delete(redis);
  pipeline.exec().then(
    (replies) => {
      for (const [index, { resolve, reject }] of waiting.entries()) {
        const [error, value] = replies?.[index] ?? [new Error("Redis gave no reply."), null];
        if (error) reject(error);
        else resolve(value);
      }
    },
    (error) => {
      for (const { reject } of waiting) reject(error);
    },
  );
}
