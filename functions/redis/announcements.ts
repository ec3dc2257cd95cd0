/** Changes that are announced in a channel of Redis, to those who remember what may change. */
import type { Redis } from "ioredis";
import { connectionLike, PATIENT } from "./connections.ts";

/** Reactions to announcements. */
export interface AnnouncementHandlers {
  /** Told of each announcement. */
  heard(text: string): void;
  /** From now on announcements are heard. Those while nobody listened are unknown. */
  listening(): void;
  /** Announcements may be missed from now on, until `listening`. */
  away?(): void;
}

/**
 * Listens to one channel over a connection of its own, as Redis wants of subscribers, from its
 * making on, and again after each break.
 */
export class Announcements {
  readonly #subscriber: Redis;

  /** @param redis says where Redis is */
  constructor(redis: Redis, channel: string, { heard, listening, away }: AnnouncementHandlers) {
    this.#subscriber = connectionLike(redis, { ...PATIENT, autoResubscribe: false });
    this.#subscriber.on("message", (_channel: string, text: string) => heard(text));
    if (away !== undefined) this.#subscriber.on("close", away);
    // A connection that breaks meanwhile is "ready" again with the next one.
    this.#subscriber.on("ready", () => this.#subscriber.subscribe(channel).then(listening, () => {}));
  }

  /** Hears nothing more. */
  close(): void {
    this.#subscriber.disconnect();
  }
}
