/**
 * How the two ends of a direct connection know each other. A gateway announces in Redis where it
 * listens, with a token of this start. On a new connection it sends a challenge; the worker answers
 * with its name, a challenge of its own and a proof that it has the token; the gateway proves the
 * same. The token itself never travels, and no proof is of use on another connection.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { SENDER_BYTES } from "./reply-frames.ts";

export const CHALLENGE_BYTES = 32;
export const PROOF_BYTES = 32;
export const HELLO_BYTES = SENDER_BYTES + CHALLENGE_BYTES + PROOF_BYTES;

/** Longest time of a handshake, connecting included. */
export const HANDSHAKE_MS = 5_000;

/** Where workers find a gateway. */
export interface Announcement {
  /** In base64. */
  token: string;
  /** A unix socket, and the boot of the machine on which it is. */
  socket?: { path: string; boot: string };
  address?: { host: string; port: number };
}

export const announcementKey = (gatewayId: string): string => `sp:direct:${gatewayId}`;

export const newChallenge = (): Buffer => randomBytes(CHALLENGE_BYTES);

/** Names this machine since it was started; null where the kernel does not tell. */
export function bootOfMachine(): string | null {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return null;
  }
}

/** The use of a connection that a worker dials; its proof is good for no other. */
export const PURPOSES = ["replies", "bodies"] as const;
export type Purpose = (typeof PURPOSES)[number];

const PROVER: Record<Purpose, "worker" | "worker bodies"> = { replies: "worker", bodies: "worker bodies" };

function proof(token: Buffer, by: "gateway" | "worker" | "worker bodies", parts: readonly Buffer[]): Buffer {
  const hmac = createHmac("sha256", token).update(by);
  for (const part of parts) hmac.update(part);
  return hmac.digest();
}

/** A worker's answer to a gateway's challenge. */
export function helloOf(
  token: Buffer,
  sender: Buffer,
  theirs: Buffer,
  own: Buffer,
  purpose: Purpose = "replies",
): Buffer {
  return Buffer.concat([sender, own, proof(token, PROVER[purpose], [theirs, own, sender])]);
}

interface Hello {
  sender: Buffer;
  theirs: Buffer;
  purpose: Purpose;
}

/** The sender's name and challenge in a hello, and what for; null when its proof is none. */
export function readHello(token: Buffer, hello: Buffer, own: Buffer): Hello | null {
  const sender = hello.subarray(0, SENDER_BYTES);
  const theirs = hello.subarray(SENDER_BYTES, SENDER_BYTES + CHALLENGE_BYTES);
  const given = hello.subarray(SENDER_BYTES + CHALLENGE_BYTES);
  const purpose = PURPOSES.find((one) => timingSafeEqual(given, proof(token, PROVER[one], [own, theirs, sender])));
  return purpose === undefined ? null : { sender, theirs, purpose };
}

/** A gateway's answer to a hello. */
export function welcomeOf(token: Buffer, sender: Buffer, theirs: Buffer): Buffer {
  return proof(token, "gateway", [theirs, sender]);
}

/** Whether the answer to a hello with this challenge is that of the gateway. */
export function isWelcome(token: Buffer, welcome: Buffer, sender: Buffer, own: Buffer): boolean {
  return timingSafeEqual(welcome, welcomeOf(token, sender, own));
}
