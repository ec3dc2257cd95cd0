/** The ways between a worker and gateways, and what is said when one has trouble. */
import type { Redis } from "ioredis";
import { BodyFetcher } from "../functions/transport/body-fetcher.ts";
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

/** How requests' bodies come that gateways keep. */
export function openBodies(redis: Redis, onTrouble: (message: string, error?: unknown) => void): BodyFetcher {
  return new BodyFetcher(redis, {
    onBroken: (gateway, error) =>
      onTrouble(`the connection for bodies to gateway ${gateway} broke; Redis carries them meanwhile`, error),
  });
}
