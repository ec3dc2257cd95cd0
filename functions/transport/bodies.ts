/**
 * Bodies on their way through Redis: small ones inside the message that speaks of them, larger ones
 * under a key of their own, so that a list of jobs stays small. A key is removed when it is taken
 * and expires when nobody does.
 */
import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import { KIB } from "../../infra/std/bytes.ts";
import type { BodyInTransit } from "../model/invocation.ts";

/** Largest request body that travels inside its job. */
export const INLINE_REQUEST_BYTES = 16 * KIB;

const KEY_PREFIX = "sp:body:";

/** A body that a job or Redis has. */
export type PublishedBody = Exclude<BodyInTransit, { ticket: string }>;

/** The inline form of a body, or null when it is too large for that. */
export function inlineBody(bytes: Uint8Array): PublishedBody | null {
  if (bytes.byteLength > INLINE_REQUEST_BYTES) return null;
  return { inlineBase64: asBuffer(bytes).toString("base64") };
}

/**
 * Makes a body ready for transit, inline when it is small.
 * @param ttlMs how long a larger one is kept when nobody takes it.
 * @throws what ioredis throws when Redis does not answer.
 */
export async function putBody(redis: Redis, bytes: Uint8Array, ttlMs: number): Promise<PublishedBody> {
  const inline = inlineBody(bytes);
  if (inline) return inline;
  const key = newBodyKey();
  await redis.set(key, asBuffer(bytes), "PX", ttlMs);
  return { key, bytes: bytes.byteLength };
}

/**
 * The bytes of a body, which is gone from Redis afterwards; null when it was taken before or has
 * expired.
 * @throws what ioredis throws when Redis does not answer.
 */
export async function takeBody(redis: Redis, body: PublishedBody): Promise<Buffer | null> {
  if ("inlineBase64" in body) return Buffer.from(body.inlineBase64, "base64");
  return redis.getdelBuffer(body.key);
}

/** How many bytes a body in transit has, as far as that is known. */
export function bytesOf(body: BodyInTransit | null): number {
  if (body === null) return 0;
  return "bytes" in body ? (body.bytes ?? 0) : Buffer.byteLength(body.inlineBase64, "base64");
}

/** Removes a body that nobody will take. A failure is harmless: the key expires. */
export async function dropBody(redis: Redis, body: BodyInTransit | null): Promise<void> {
  if (body === null || !("key" in body)) return;
  await redis.unlink(body.key).catch(() => 0);
}

/** A new key for one body. */
function newBodyKey(): string {
  return KEY_PREFIX + randomUUID();
}

/** The key of the body of a reply that is published beside its message. */
export function replyBodyKey(sender: string, messageNumber: number, index: number): string {
  return `${KEY_PREFIX}${sender}-${messageNumber}-${index}`;
}

/** The same memory as a Buffer, which ioredis sends as it is. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
