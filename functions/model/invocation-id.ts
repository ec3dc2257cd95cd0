/** Ids of invocations. */
import { randomUUID } from "node:crypto";

/**
 * A new id: a UUID of version 7 (RFC 9562, section 5.7). It begins with the time, so that Redis
 * keeps records of one moment together, and has 74 random bits.
 * @param nowMs Unix time in milliseconds
 */
export function newInvocationId(nowMs: number): string {
  const time = nowMs.toString(16).padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`;
}
