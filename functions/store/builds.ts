/** Results of builds, by the digest of tenant and input, so that the same input is built once. */
import type { Redis } from "ioredis";
import type { BuildResult } from "../model/build.ts";

type SuccessfulBuild = Extract<BuildResult, { ok: true }>;

const BUILD_TTL_MS = 30 * 24 * 3_600_000;
const buildKey = (digest: string): string => `sp:build:${digest}`;

/** The result of an earlier build of that input; null when there was none in the last 30 days. */
export async function findBuild(redis: Redis, digest: string): Promise<SuccessfulBuild | null> {
  const stored = await redis.get(buildKey(digest));
  return stored === null ? null : (JSON.parse(stored) as SuccessfulBuild);
}

/** Keeps a result for 30 days. */
export async function keepBuild(redis: Redis, digest: string, result: SuccessfulBuild): Promise<void> {
  await redis.set(buildKey(digest), JSON.stringify(result), "PX", BUILD_TTL_MS);
}
