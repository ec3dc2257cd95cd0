/** How a worker gets a direct connection to a gateway. */
import { once } from "node:events";
import { connect, type NetConnectOpts, type Socket } from "node:net";
import type { Redis } from "ioredis";
import { ByteQueue } from "./byte-queue.ts";
import {
  type Announcement,
  announcementKey,
  bootOfMachine,
  CHALLENGE_BYTES,
  HANDSHAKE_MS,
  helloOf,
  isWelcome,
  newChallenge,
  PROOF_BYTES,
  type Purpose,
} from "./direct-handshake.ts";

const KEEP_ALIVE_MS = 10_000;

/**
 * Dials a gateway where it says that it listens: on this machine first.
 * @returns a connection on which each end has proven itself, and nothing else was said; null when
 * the gateway announces no place, or none answers as it must. Never rejects.
 */
export async function dial(
  redis: Redis,
  gatewayId: string,
  sender: Buffer,
  purpose: Purpose = "replies",
): Promise<Socket | null> {
  const announced = await redis
    .get(announcementKey(gatewayId))
    .then(placesOf)
    .catch(() => null);
  if (announced === null) return null;
  const { token, where } = announced;
  for (const place of where) {
    const socket = await shakeHands(place, token, sender, purpose).catch(() => null);
    if (socket !== null) return socket;
  }
  return null;
}

/** @throws SyntaxError, TypeError for what is no announcement */
function placesOf(announced: string | null): { token: Buffer; where: NetConnectOpts[] } | null {
  if (announced === null) return null;
  const { token, socket, address } = JSON.parse(announced) as Announcement;
  const isHere = socket !== undefined && socket.boot === bootOfMachine();
  const tcp = { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS };
  return {
    token: Buffer.from(token, "base64"),
    where: [...(isHere ? [{ path: socket.path }] : []), ...(address ? [{ ...address, ...tcp }] : [])],
  };
}

/** @throws Error when nobody answers in time, or not as the gateway would. */
async function shakeHands(place: NetConnectOpts, token: Buffer, sender: Buffer, purpose: Purpose): Promise<Socket> {
  const socket = connect(place);
  // Whoever waits for it hears of its end.
  socket.on("error", () => {});
  const deadline = setTimeout(() => socket.destroy(), HANDSHAKE_MS);
  try {
    const theirs = await read(socket, CHALLENGE_BYTES);
    const own = newChallenge();
    socket.write(helloOf(token, sender, theirs, own, purpose));
    const welcome = await read(socket, PROOF_BYTES);
    if (!isWelcome(token, welcome, sender, own)) throw new Error("Somebody else answers at the gateway's place.");
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(deadline);
  }
}

/** Exactly so many bytes. @throws Error when the connection ends before, or more come. */
async function read(socket: Socket, bytes: number): Promise<Buffer> {
  const heard = new ByteQueue();
  const ended = once(socket, "close").then(() => {
    throw new Error("The connection was closed.");
  });
  ended.catch(() => {});
  while (heard.length < bytes) {
    const [piece] = (await Promise.race([once(socket, "data"), ended])) as [Buffer];
    heard.add(piece);
  }
  if (heard.length > bytes) throw new Error("The gateway said more than it must.");
  return heard.take(bytes);
}
