/** Whether Redis takes what it is given: one that answers may refuse to write. */
import { type Redis, ReplyError } from "ioredis";

const PROBE = "sp:writable";
const PROBE_TTL_MS = 60_000;

/** The meaning of Redis's refusals, by the first word. */
const REFUSALS: Readonly<Record<string, string>> = {
  OOM: "its memory is full (maxmemory)",
  MISCONF: "it cannot write to its disk",
  READONLY: "it is a replica",
  NOAUTH: "it wants a password that REDIS_URL does not have",
  NOPERM: "its user in REDIS_URL may not write",
  NOREPLICAS: "it has fewer replicas than it wants",
  LOADING: "it is loading its data",
};

/**
 * Why Redis takes no writes now, as a sentence: it cannot be reached, or it answers and refuses.
 * Null when it takes them.
 */
export async function whyNotWritable(redis: Redis): Promise<string | null> {
  try {
    await redis.set(PROBE, Date.now(), "PX", PROBE_TTL_MS);
    return null;
  } catch (error) {
    // ioredis declares this class as anything.
    const message = error instanceof ReplyError ? (error as Error).message : "";
    if (message === "") return "Redis is not reachable.";
    const [word = ""] = message.split(" ");
    return `Redis answers and refuses to write: ${REFUSALS[word] ?? message.slice(0, 200)}.`;
  }
}
