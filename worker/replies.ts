/** The way of a worker's replies to gateways, and what is said when it has trouble. */
import type { Redis } from "ioredis";
import { ReplySender } from "../functions/transport/reply-sender.ts";

/** @param inCourse how many calls run now. */
export function openReplies(
  redis: Redis,
  onTrouble: (message: string, error?: unknown) => void,
  inCourse: () => number,
): ReplySender {
  return new ReplySender(redis, {
    onError: (error) => onTrouble("a reply could not be sent", error),
    onBroken: (gateway) => onTrouble(`the connection to gateway ${gateway} broke; replies go through Redis meanwhile`),
    inCourse,
  });
}
