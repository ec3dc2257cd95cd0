/**
 * The floor of the queue: bare BullMQ between two processes, `node bullmq-floor.ts producer SOCKET`
 * and `... worker SOCKET CONCURRENCY`. The producer adds a job and waits for the worker's reply,
 * which comes over pub/sub as soon as the job ran: `waitUntilFinished` would take twice as long.
 * All options are BullMQ's own, but that jobs are removed when they are done.
 */
import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";
import { BINARY, ITEMS } from "../apps/payloads.mjs";
import { serveBlocks } from "./child.ts";

const QUEUE = "bench";
/** Where the numbers of calls that ran come. */
const REPLIES = "bench:replies";
/**
 * Large replies lie beside under a key: a channel with so much on its way would be closed by Redis.
 */
const bodyKey = (id: number): string => `bench:body:${id}`;
const BODY_SECONDS = 60;

interface Call {
  id: number;
  /** A key of `BODIES`, or what has no body. */
  what: string;
}

/** What large replies consist of, by what is called. */
const BODIES: Readonly<Record<string, () => Buffer>> = {
  json: () => Buffer.from(JSON.stringify(ITEMS)),
  binary: () => Buffer.from(BINARY.buffer),
};

const [role, path = "", concurrency = "64"] = process.argv.slice(2);
if (role === "worker") await runWorker();
else await runProducer();

async function runProducer(): Promise<void> {
  const connection = new Redis({ path, maxRetriesPerRequest: null });
  const subscriber = new Redis({ path });
  const queue = new Queue<Call>(QUEUE, { connection, defaultJobOptions: { removeOnComplete: true } });
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
    call: async (what) => {
      const id = nextId++;
      const replied = new Promise<void>((resolve) => waiting.set(id, resolve));
      await Promise.all([queue.add("call", { id, what }), replied]);
      if (what in BODIES) await connection.getdelBuffer(bodyKey(id));
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
  const run = async ({ data: { id, what } }: { data: Call }): Promise<void> => {
    const body = BODIES[what]?.();
    if (body !== undefined) void publisher.set(bodyKey(id), body, "EX", BODY_SECONDS);
    reply(id);
  };
  const worker = new Worker<Call>(QUEUE, run, { connection, concurrency: Number(concurrency) });
  await worker.waitUntilReady();
  serveBlocks({
    close: async () => {
      await worker.close(true);
      publisher.disconnect();
      connection.disconnect();
    },
  });
}
