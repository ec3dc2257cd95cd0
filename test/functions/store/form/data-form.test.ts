/** The form of the data: its number, and the steps that lead to it. */
import assert from "node:assert/strict";
import { after, before, beforeEach, it } from "node:test";
import type { Redis } from "ioredis";
import { DataKeys } from "../../../../functions/store/data-keys.ts";
import { prepareData, readForm, refuseNewerData } from "../../../../functions/store/form/data-form.ts";
import { DATA_FORM, FIRST_FORM, type FormStep, STEPS } from "../../../../functions/store/form/form-steps.ts";
import { masterKeysOf } from "../../../helpers/master-keys.ts";
import { startRedis, type TestRedis } from "../../../helpers/redis.ts";

let server: TestRedis;
let redis: Redis;
const masterKeys = masterKeysOf();
before(async () => {
  server = await startRedis();
  redis = server.connect();
});
after(() => server.stop());
beforeEach(() => redis.flushall());

const parts = (connection = redis) => ({ redis: connection, dataKeys: new DataKeys(connection, masterKeys) });

/** Steps from the first form on that do this. */
function stepsOf(...moves: (() => Promise<unknown>)[]): { steps: FormStep[]; form: number } {
  const steps = moves.map((move, index) => ({
    ...{ from: FIRST_FORM + index, to: FIRST_FORM + index + 1, what: `step ${index}` },
    move: async () => Number(await move()),
  }));
  return { steps, form: FIRST_FORM + moves.length };
}

it("has steps from the first form to that of this Sandpiper, without a gap", () => {
  const numbers = STEPS.map(({ from, to }) => [from, to]);
  assert.deepEqual(
    numbers,
    numbers.map((_, index) => [FIRST_FORM + index, FIRST_FORM + index + 1]),
  );
  assert.equal(STEPS.at(-1)?.to, DATA_FORM);
});

it("is noted at the first start, and nothing is done at the next", async () => {
  await prepareData(parts());
  assert.equal(await redis.get("sp:form"), String(DATA_FORM));
  const failing = STEPS.map((step) => ({ ...step, move: () => assert.fail("a step was done again") }));
  await prepareData(parts(), { steps: failing });
});

it("is reached by one of two that start at once, while the other waits", async () => {
  const second = server.connect();
  const tried = Promise.withResolvers<void>();
  const set = second.set.bind(second) as (...words: unknown[]) => Promise<unknown>;
  const trying = async (...words: unknown[]) => set(...words).finally(() => tried.resolve());
  Object.assign(second, { set: trying });
  let done = 0;
  let other: Promise<void> | undefined;
  const options = stepsOf(
    async () => {
      // The other asks for the lock while it is held, before this step goes on.
      other ??= prepareData(parts(second), options);
      await tried.promise;
      return ++done;
    },
    async () => ++done,
  );
  const seen: number[] = [];
  await prepareData(parts(), { ...options, onStep: ({ count }) => seen.push(count) });
  await other;
  assert.deepEqual([done, seen, await readForm(redis)], [2, [1, 2], FIRST_FORM + 2]);
  assert.equal(await redis.exists("sp:form:lock"), 0);
});

it("is reached by whoever starts next when a step fails, from that step on", async () => {
  const calls: string[] = [];
  const broken = stepsOf(
    async () => calls.push("first"),
    async () => {
      throw new Error("ended on the way");
    },
  );
  await assert.rejects(prepareData(parts(), broken), /ended on the way/);
  assert.equal(await readForm(redis), FIRST_FORM + 1);
  const whole = stepsOf(
    async () => calls.push("first again"),
    async () => calls.push("second"),
  );
  await prepareData(parts(), whole);
  assert.deepEqual(calls, ["first", "second"]);
});

it("never goes back by a slow process", async () => {
  const late = stepsOf(async () => redis.set("sp:form", FIRST_FORM + 5));
  await prepareData(parts(), late);
  assert.equal(await readForm(redis), FIRST_FORM + 5);
});

it("of a newer Sandpiper is refused before anything else is looked at", async () => {
  await redis.set("sp:form", DATA_FORM + 1);
  const refused = { code: "DATA_TOO_NEW", message: new RegExp(`form ${DATA_FORM + 1}, .* up to ${DATA_FORM}`) };
  await Promise.all([assert.rejects(prepareData(parts()), refused), assert.rejects(refuseNewerData(redis), refused)]);
  assert.deepEqual(await redis.keys("*"), ["sp:form"]);
});
