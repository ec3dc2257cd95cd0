import assert from "node:assert/strict";
import { it } from "node:test";
import { Reloads } from "../../../../functions/cli/dev/reloads.ts";

it("a burst of changes is one reload", async () => {
  let count = 0;
  const reloads = new Reloads({
    reload: async () => {
      count++;
      return true;
    },
  });
  for (let change = 0; change < 50; change++) reloads.changed();
  await reloads.running;
  assert.equal(count, 1);
  assert.equal(reloads.running, null);
  reloads.changed();
  await reloads.running;
  assert.equal(count, 2);
});

it("a change in the middle of a reload is seen by it, and is one more", async () => {
  const seen: boolean[] = [];
  const reloads = new Reloads({
    async reload(isOutdated) {
      if (seen.length === 0) reloads.changed();
      seen.push(isOutdated());
      return !isOutdated();
    },
  });
  reloads.changed();
  await reloads.running;
  assert.deepEqual(seen, [true, false]);
});

it("who asks for everything gets it, also when that reload gave way to a change", async () => {
  const forced: boolean[] = [];
  const reloads = new Reloads({
    async reload(isOutdated, isForced) {
      if (forced.length === 0) reloads.changed();
      forced.push(isForced);
      return !isOutdated();
    },
  });
  reloads.changed(true);
  await reloads.running;
  assert.deepEqual(forced, [true, true]);
});

it("changes that never stop do not keep the function from being reloaded", async () => {
  let isWriting = true;
  const reloads = new Reloads({
    async reload(isOutdated) {
      if (isWriting) reloads.changed();
      if (isOutdated()) return false;
      isWriting = false;
      return true;
    },
  });
  const writing = setInterval(() => reloads.changed(), 1);
  reloads.changed();
  while (isWriting) await new Promise((resolve) => setImmediate(resolve));
  clearInterval(writing);
  await reloads.running;
});
