/**
 * The floor of the queue: bare BullMQ between two processes, `node bullmq-floor.ts producer|worker SOCKET`. The producer
 * adds a job and waits for the worker's reply, which comes over pub/sub as soon as the job ran: `waitUntilFinished` would
 * take twice as long. All options are BullMQ's own, but that jobs are removed when they are done.
 */
import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";
import { serveBlocks } from "./child.ts";

const QUEUE = "bench";
const REPLIES = "bench:replies";
/** As many jobs at once as the producer ever has in flight. */
const CONCURRENCY = 64;

const [role, path = ""] = process.argv.slice(2);
if (role === "worker") await runWorker();
else await runProducer();

async function runProducer(): Promise<void> {
  const connection = new Redis({ path, maxRetriesPerRequest: null });
  const subscriber = new Redis({ path });
  const queue = new Queue<{ id: number }>(QUEUE, { connection, defaultJobOptions: { removeOnComplete: true } });
  const waiting = new Map<number, () => void>();
  let nextId = 0;
  subscriber.on("message", (_channel, ids: string) => {
    for (const id of ids.split(",").map(Number)) {
      waiting.get(id)?.();
      waiting.delete(id);
    }
  });
  await subscriber.subscribe(REPLIES);
  await queue.waitUntilReady();
  serveBlocks({
    call: async () => {
      const id = nextId++;
      const replied = new Promise<void>((resolve) => waiting.set(id, resolve));
      await Promise.all([queue.add("call", { id }), replied]);
    },
    close: async () => {
      await queue.close();
      subscriber.disconnect();
      connection.disconnect();
    },
  });
}

async function runWorker(): Promise<void> {
  const connection = new Redis({ path, maxRetriesPerRequest: null });
  const publisher = new Redis({ path });
  let replies: number[] = [];
  // Replies of one turn of the event loop go out together: the cheapest way there is.
  const reply = (id: number): void => {
    if (replies.push(id) > 1) return;
    setImmediate(() => {
      void publisher.publish(REPLIES, replies.join(","));
      replies = [];
    });
  };
  const worker = new Worker<{ id: number }>(QUEUE, async ({ data }) => reply(data.id), {
    connection,
    concurrency: CONCURRENCY,
  });
  await worker.waitUntilReady();
  serveBlocks({
    close: async () => {
      await worker.close(true);
      publisher.disconnect();
      connection.disconnect();
    },
  });
}
