/** The way that the body of a call takes to its worker. */
import type { Redis } from "ioredis";
import { SandpiperError } from "../../functions/model/errors.ts";
import type { BodyInTransit, Invocation } from "../../functions/model/invocation.ts";
import { inlineBody, putBody } from "../../functions/transport/bodies.ts";
import type { BodyDesk } from "../../functions/transport/body-desk.ts";
import { WholeBody } from "../../functions/transport/body-source.ts";
import { KIB } from "../../infra/std/bytes.ts";
import type { Budget, Holder } from "../http/budget.ts";
import type { StreamedBody } from "../http/streamed-body.ts";
import type { Exchange } from "./exchange.ts";

/** How much longer than its call a body is kept under its key. */
const BODY_GRACE_MS = 30_000;
/** A body that arrives counts as what is held of it at most. */
const STREAM_COST_BYTES = 256 * KIB;

interface TransitParts {
  redis: Redis;
  desk: BodyDesk;
  uploads: Budget;
}

/** The memory that a body counts as, here or in Redis. */
export function costOf(body: Buffer | StreamedBody | null): number {
  if (body === null) return 0;
  return Buffer.isBuffer(body) ? body.length : STREAM_COST_BYTES;
}

/**
 * The form of a body in its job: a short one itself, of a longer one a ticket where workers can
 * dial, else its key in Redis, which also carries bodies when this gateway has many.
 * @throws SandpiperError QUEUE_UNAVAILABLE when Redis does not take it
 */
export async function bodyInTransit(
  parts: TransitParts,
  invocation: Invocation,
  body: Buffer | StreamedBody,
  exchange: Exchange,
): Promise<BodyInTransit> {
  const { desk, uploads } = parts;
  if (!Buffer.isBuffer(body)) {
    body.onRefused((error) => exchange.abandon(error));
    return { ticket: desk.issue(invocation.id, body), bytes: body.announcedBytes };
  }
  const inline = inlineBody(body);
  if (inline !== null) return inline;
  const isRoomy = uploads.takenBytes + body.length <= uploads.limitBytes / 2;
  if (desk.connections === 0 || !isRoomy) return storeBody(parts, invocation, body);
  const holder: Holder = { letGo: () => exchange.abandon(new SandpiperError("OVERLOADED")) };
  uploads.hold(holder, body.length);
  const source = new WholeBody(body, () => uploads.hold(holder, 0));
  return { ticket: desk.issue(invocation.id, source), bytes: body.length };
}

function storeBody({ redis }: TransitParts, invocation: Invocation, body: Buffer): Promise<BodyInTransit> {
  const ttlMs = invocation.expiresAtMs - Date.now() + BODY_GRACE_MS;
  return putBody(redis, body, ttlMs).catch((cause) => {
    throw new SandpiperError("QUEUE_UNAVAILABLE", { cause });
  });
}
