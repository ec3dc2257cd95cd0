import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { connectionLike, FAIL_FAST } from "../../../functions/redis/connections.ts";
import { linkOf } from "../../../functions/redis/link.ts";
import {
  type Cancellation,
  CancellationReceiver,
  CancellationSender,
  MAX_CANCELLED,
} from "../../../functions/transport/cancellations.ts";
import { eventually } from "../../helpers/eventually.ts";
import { startRedis, type TestRedis } from "../../helpers/redis.ts";

let redis: TestRedis;
before(async () => {
  redis = await startRedis();
});
after(() => redis.stop());

function newCancellation(forMs = 60_000): Cancellation {
  return { id: randomUUID(), overAtMs: Date.now() + forMs };
}

/** A receiver, and what it has heard. */
async function startReceiver() {
  const heard: Cancellation[] = [];
  const receiver = new CancellationReceiver(redis.connect(), (cancellation) => heard.push(cancellation));
  await receiver.current();
  return { heard, receiver };
}

describe("cancellations", () => {
  it("are over by Redis's clock, whatever a gateway's says", async (t) => {
    const connection = redis.connect();
    const sender = new CancellationSender(connection);
    await eventually(() => linkOf(connection).isWhole);
    const other = newCancellation();
    await connection.zadd("sp:cancelled", other.overAtMs, other.id);
    const { now } = Date;
    t.mock.method(Date, "now", () => now() + 3_600_000);
    const own = newCancellation();
    sender.send(own);
    await eventually(async () => (await connection.zscore("sp:cancelled", own.id)) !== null);
    t.mock.restoreAll();
    const { heard, receiver } = await startReceiver();
    assert.deepEqual(heard.map(({ id }) => id).sort(), [own.id, other.id].sort());
    assert.ok((heard.find(({ id }) => id === own.id)?.overAtMs ?? Number.POSITIVE_INFINITY) < now() + 1_800_000);
    receiver.close();
    await connection.del("sp:cancelled");
  });

  it("reach every worker, many at once", async () => {
    const receivers = [await startReceiver(), await startReceiver()];
    const sender = new CancellationSender(redis.connect());
    const sent = Array.from({ length: 1_200 }, () => newCancellation());
    for (const cancellation of sent) sender.send(cancellation);
    for (const { heard, receiver } of receivers) {
      await eventually(() => heard.length === sent.length);
      assert.deepEqual(heard, sent);
      receiver.close();
    }
  });

  it("reach a worker that comes later, or comes back, unless the call is over", async () => {
    const connection = redis.connect();
    const sender = new CancellationSender(connection);
    const [early, over, missed] = [newCancellation(), newCancellation(-1), newCancellation()];
    sender.send(early);
    sender.send(over);
    await eventually(async () => (await connection.zscore("sp:cancelled", early.id)) !== null);
    const { heard, receiver } = await startReceiver();
    const ids = () => heard.map(({ id }) => id);
    assert.ok(ids().includes(early.id));
    assert.ok(!ids().includes(over.id));
    await connection.zadd("sp:cancelled", missed.overAtMs, missed.id);
    await connection.client("KILL", "TYPE", "PUBSUB");
    await eventually(() => ids().includes(missed.id));
    receiver.close();
  });

  it("of calls that have not begun say so, to those who hear them and to those who come later", async () => {
    const { heard, receiver } = await startReceiver();
    const sender = new CancellationSender(redis.connect());
    const givenUp = { ...newCancellation(), unlessBegun: true as const };
    sender.send(givenUp);
    const find = (all: Cancellation[]) => all.find(({ id }) => id === givenUp.id);
    await eventually(() => find(heard) !== undefined);
    assert.deepEqual(find(heard), givenUp);
    receiver.close();
    const late = await startReceiver();
    assert.deepEqual(find(late.heard), givenUp);
    late.receiver.close();
  });

  it("wait for a Redis that is away", async () => {
    const { heard, receiver } = await startReceiver();
    const connection = connectionLike(redis.connect(), FAIL_FAST);
    const sender = new CancellationSender(connection);
    await redis.kill();
    const sent = newCancellation();
    sender.send(sent);
    await redis.restart();
    await eventually(() => heard.some(({ id }) => id === sent.id));
    receiver.close();
    connection.disconnect();
  });

  it("are kept up to a limit", async () => {
    const connection = redis.connect();
    const sender = new CancellationSender(connection);
    const kept = Array.from({ length: MAX_CANCELLED }).flatMap(() => [Date.now() + 30_000, randomUUID()]);
    await connection.zadd("sp:cancelled", ...kept);
    const last = newCancellation();
    sender.send(last);
    await eventually(async () => (await connection.zscore("sp:cancelled", last.id)) !== null);
    await eventually(async () => (await connection.zcard("sp:cancelled")) === MAX_CANCELLED);
  });
});
