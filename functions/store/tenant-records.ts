/** Removes the records of a tenant's calls, and takes them off what all records together take. */
import type { Redis } from "ioredis";
import type { InvocationRecord } from "../model/record.ts";
import { HEAP_PREFIX, HEAPS, hashOf, PROVISIONAL, RECORD_PREFIX, TOTAL } from "./log-script.ts";

/** Items of a heap that are read at once; each may name many calls. */
const PAGE = 500;
/** The heap of calls of all tenants that no worker had. */
const UNRUN = "unrun";

/** KEYS: heap, heaps, bytes of all. ARGV: the heap's name. */
const DROP_HEAP = `
redis.call("DECRBY", KEYS[3], redis.call("ZSCORE", KEYS[2], ARGV[1]) or 0)
redis.call("ZREM", KEYS[2], ARGV[1])
redis.call("DEL", KEYS[1])`;

/** @returns how many records are gone. */
export async function removeRecords(redis: Redis, tenant: string): Promise<number> {
  const heaps = (await redis.zrange(HEAPS, 0, "-1")).filter((heap) => heap.startsWith(`${tenant}:`));
  let removed = 0;
  for (const heap of heaps) {
    for await (const ids of idsOf(redis, heap)) removed += await forget(redis, ids, heap.endsWith(":ok"));
    await redis.eval(DROP_HEAP, 3, HEAP_PREFIX + heap, HEAPS, TOTAL, heap);
  }
  for await (const ids of idsOf(redis, UNRUN)) removed += await forgetUnrun(redis, tenant, ids);
  return removed;
}

async function* idsOf(redis: Redis, heap: string): AsyncGenerator<string[]> {
  for (let at = 0; ; at += PAGE) {
    const items = await redis.lrange(HEAP_PREFIX + heap, at, at + PAGE - 1);
    if (items.length === 0) return;
    yield items.flatMap((item) => item.split(" ").slice(2));
  }
}

async function forget(redis: Redis, ids: readonly string[], isHashed: boolean): Promise<number> {
  const pipeline = redis.pipeline();
  for (const id of ids) {
    if (isHashed) pipeline.hdel(hashOf(id), id);
    else pipeline.del(RECORD_PREFIX + id);
  }
  const answers = (await pipeline.exec()) ?? [];
  const failed = answers.find(([error]) => error);
  if (failed?.[0]) throw failed[0];
  return answers.reduce((sum, [, count]) => sum + Number(count), 0);
}

/** The rest of them in the heap goes when it is their turn to make way. */
async function forgetUnrun(redis: Redis, tenant: string, ids: readonly string[]): Promise<number> {
  const texts = await redis.mget(ids.map((id) => RECORD_PREFIX + id));
  const own = ids.filter((_, index) => {
    const text = texts[index] ?? "";
    return text.startsWith(PROVISIONAL) && (JSON.parse(text.slice(1)) as InvocationRecord).tenant === tenant;
  });
  return own.length === 0 ? 0 : await forget(redis, own, false);
}
