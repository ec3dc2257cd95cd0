/** A worker process that takes calls, says so, and never answers: it is there to be killed. */
import { Redis } from "ioredis";
import { InvocationWorker } from "../../functions/transport/invocation-queue.ts";

const [socket = "", slots = "100"] = process.argv.slice(2);
const redis = new Redis({ path: socket, maxRetriesPerRequest: null });
let left = Number(slots);
const worker = new InvocationWorker(redis, {
  freeSlots: () => left,
  run({ id }) {
    left--;
    process.send?.({ running: id });
    return new Promise(() => {});
  },
  async lost() {},
});
worker.start();
process.send?.({ started: true });
process.on("disconnect", () => process.exit());
