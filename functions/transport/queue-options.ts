/** Options that all queues have in common. */
import type { Queue } from "bullmq";
import type { RedisLink } from "../redis/link.ts";

/** How long a worker owns a job without saying so again, and how often it says so. */
export const LOCK_MS = 4_000;

/** How long closing waits for Redis, which may be away. */
export const CLOSE_REDIS_MS = 3_000;

export const PREFIX = "sp:queue";

/** BullMQ writes an event for every step of a job; none is read here, so that none is kept. */
export const NO_EVENTS = { events: { maxLen: 0 } };

/** Has a queue tell a Redis that has lost everything once more that no events are to be kept. */
export function renewMeta(queue: Queue, link: RedisLink): void {
  link.on("change", ({ wentBack }) => {
    if (wentBack && !queue.closing) queue.backend.setQueueMeta(queue.metaValues).catch(() => {});
  });
}
