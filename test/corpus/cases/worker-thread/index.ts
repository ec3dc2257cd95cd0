import { Worker } from "node:worker_threads";
import { once } from "node:events";
export default async () => {
  const worker = new Worker(new URL("./double.ts", import.meta.url), { workerData: 21 });
  const [answer] = await once(worker, "message");
  return String(answer);
};
