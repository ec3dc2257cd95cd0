/** Redis commands that nobody waits for, sent together: one write instead of one each. */
import type { ChainableCommander, Redis } from "ioredis";

interface Batch {
  pipeline: ChainableCommander;
  waiting: { resolve: (value: unknown) => void; reject: (error: unknown) => void }[];
}

/** Records and logs are for later: what comes within so many milliseconds goes in one write. */
const GATHER_MS = 3;

const open = new WeakMap<Redis, Batch>();

/**
 * Adds one command to what is sent next on a connection, within milliseconds.
 * @param queue queues exactly one command.
 * @returns the command's reply.
 * @throws what ioredis throws for this command.
 */
export function gather(redis: Redis, queue: (pipeline: ChainableCommander) => unknown): Promise<unknown> {
  let batch = open.get(redis);
  if (!batch) {
    batch = { pipeline: redis.pipeline(), waiting: [] };
    open.set(redis, batch);
    setTimeout(send, GATHER_MS, redis, batch);
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
