/**
 * Whether a gateway still waits for a call that it queued a while ago. Workers ask before such a
 * call begins: Redis may have been away, and the gateway may have told its caller an error since
 * then, or may be gone. Calls that were queued just now are not asked about, so that the path of a
 * call costs nothing while all is well.
 *
 * Questions and answers are messages on channels of Redis. Nobody who hears a question is an answer
 * as well: the gateway is gone.
 */
import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import { settledWithin } from "../../infra/std/time.ts";
import type { Invocation } from "../model/invocation.ts";
import { connectionLike, PATIENT } from "../redis/connections.ts";

/** A call that was queued longer ago than this is asked about. */
const OLD_MS = 1_000;
/** Most time for an answer, and before it for a connection on which that can be heard. */
const ANSWER_MS = 2_000;

const questionsFor = (gatewayId: string): string => `sp:claims:${gatewayId}`;
const answersFor = (askerId: string): string => `sp:claimed:${askerId}`;

interface Question {
  /** The channel for the answer. */
  answerTo: string;
  number: number;
  ids: string[];
}

/** The ids of the calls that are still waited for. */
type Answer = Pick<Question, "number" | "ids">;

/** A gateway's end, with a connection of its own, as Redis wants of subscribers. */
export class ClaimAnswerer {
  readonly #subscriber: Redis;

  /**
   * @param redis carries the answers.
   * @param isWaitedFor whether somebody waits for the reply to that invocation.
   */
  constructor(redis: Redis, gatewayId: string, isWaitedFor: (id: string) => boolean) {
    this.#subscriber = connectionLike(redis, PATIENT);
    this.#subscriber.on("ready", () => this.#subscriber.subscribe(questionsFor(gatewayId)).catch(() => {}));
    this.#subscriber.on("message", (_channel: string, message: string) => {
      const { answerTo, number, ids } = JSON.parse(message) as Question;
      const answer: Answer = { number, ids: ids.filter(isWaitedFor) };
      // A worker that hears no answer begins none of the calls.
      redis.publish(answerTo, JSON.stringify(answer)).catch(() => {});
    });
  }

  /** Ends the subscription. */
  close(): void {
    this.#subscriber.disconnect();
  }
}

/** A worker's end. */
export class ClaimAsker {
  readonly #redis: Redis;
  readonly #subscriber: Redis;
  readonly #channel = answersFor(randomUUID());
  readonly #asked = new Map<number, (ids: string[]) => void>();
  #nextNumber = 1;
  #listening = Promise.withResolvers<void>();
  /** Unix time in milliseconds at which the connection to Redis came, or came back. */
  #connectedAtMs = Number.POSITIVE_INFINITY;

  /** @param redis carries the questions. */
  constructor(redis: Redis) {
    this.#redis = redis;
    this.#subscriber = connectionLike(redis, PATIENT);
    this.#subscriber.on("ready", () => void this.#listen().catch(() => {}));
    this.#subscriber.on("close", () => {
      if (this.#connectedAtMs !== Number.POSITIVE_INFINITY) this.#listening = Promise.withResolvers();
      this.#connectedAtMs = Number.POSITIVE_INFINITY;
    });
    this.#subscriber.on("message", (_channel: string, message: string) => {
      const { number, ids } = JSON.parse(message) as Answer;
      this.#asked.get(number)?.(ids);
    });
  }

  /**
   * null when none of the calls is old; else what resolves with those that may begin, as somebody
   * waits for them. Never rejects; takes four seconds at most.
   */
  stillWaitedFor(calls: Invocation[]): Promise<Invocation[]> | null {
    // A call that was queued before a break may have been given up in it.
    const sinceMs = Math.max(Date.now() - OLD_MS, this.#connectedAtMs);
    return calls.some(({ enqueuedAtMs }) => enqueuedAtMs < sinceMs) ? this.#ask(calls) : null;
  }

  /** Ends the subscription. */
  close(): void {
    this.#subscriber.disconnect();
    this.#listening.resolve();
  }

  async #listen(): Promise<void> {
    await this.#subscriber.subscribe(this.#channel);
    this.#connectedAtMs = Date.now();
    this.#listening.resolve();
  }

  async #ask(calls: Invocation[]): Promise<Invocation[]> {
    await settledWithin(ANSWER_MS, this.#listening.promise);
    const byGateway = Map.groupBy(calls, ({ replyTo }) => replyTo);
    const asked = Array.from(byGateway, ([gatewayId, some]) => this.#askOne(gatewayId, some));
    const waitedFor = new Set((await Promise.all(asked)).flat());
    return calls.filter(({ id }) => waitedFor.has(id));
  }

  /** The ids of those that the gateway waits for. */
  async #askOne(gatewayId: string, calls: Invocation[]): Promise<string[]> {
    const number = this.#nextNumber++;
    const { promise, resolve } = Promise.withResolvers<string[]>();
    this.#asked.set(number, resolve);
    const question: Question = { answerTo: this.#channel, number, ids: calls.map(({ id }) => id) };
    this.#redis.publish(questionsFor(gatewayId), JSON.stringify(question)).then(
      (listeners) => listeners === 0 && resolve([]),
      () => resolve([]),
    );
    const ids = await settledWithin(ANSWER_MS, promise);
    this.#asked.delete(number);
    return ids ?? [];
  }
}
