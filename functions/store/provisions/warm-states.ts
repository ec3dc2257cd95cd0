/** Words of each worker about the instances that it keeps warm, while it lives. */
import type { Redis } from "ioredis";
import type { FunctionRef } from "../function-keys.ts";
import { workerIds } from "../workers.ts";

/** How long a worker's word counts; it tells each second. */
const KEEP_MS = 5_000;

const stateKey = (worker: string): string => `sp:warm:${worker}`;

/** The warm instances of one version at a worker, or at all of them. */
export interface WarmState {
  /** Instances that should be there, and that are. */
  wanted: number;
  ready: number;
  /** Why there are fewer; null when there are not, or they are on their way. */
  problem: string | null;
}

/** By "tenant/function". */
export type WarmStates = Readonly<Record<string, WarmState>>;

/** Tells what a worker keeps. Nothing: it keeps none. */
export async function tellWarm(redis: Redis, worker: string, states: WarmStates): Promise<void> {
  if (Object.keys(states).length === 0) await redis.del(stateKey(worker));
  else await redis.set(stateKey(worker), JSON.stringify(states), "PX", KEEP_MS);
}

/** The warm instances of each of these functions, at all workers. */
export async function warmOf(redis: Redis, refs: readonly FunctionRef[]): Promise<WarmState[]> {
  const ids = refs.length === 0 ? [] : await workerIds(redis);
  const stored = ids.length === 0 ? [] : await redis.mget(ids.map(stateKey));
  const told = stored.flatMap((text) => (text === null ? [] : [JSON.parse(text) as WarmStates]));
  return refs.map(({ tenant, functionName }) => {
    const states = told.flatMap((one) => one[`${tenant}/${functionName}`] ?? []);
    const sum = (count: "wanted" | "ready") => states.reduce((total, one) => total + one[count], 0);
    const problem = states.find((one) => one.problem !== null)?.problem ?? null;
    return { wanted: sum("wanted"), ready: sum("ready"), problem };
  });
}
