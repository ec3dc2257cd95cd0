/** A small disk for Redis' file, which can be filled. Takes a mount namespace of the test's own. */
import { execFile } from "node:child_process";
import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { TestRedis } from "../helpers/redis.ts";

const run = promisify(execFile);
const SIZE = "64m";
const BLOCK = Buffer.alloc(2 ** 16);

export interface SmallDisk {
  /** Leaves no byte free. */
  fill(): void;
  /** Takes away what `fill` wrote. */
  empty(): void;
  close(): Promise<void>;
}

/** Mounts one over the directory of a Redis that holds nothing yet, and starts that again on it. */
export async function mountSmallDisk(redis: TestRedis): Promise<SmallDisk> {
  await redis.kill();
  await run("mount", ["-t", "tmpfs", "-o", `size=${SIZE}`, "sandpiper-chaos", redis.dir]);
  await redis.restart();
  const filler = join(redis.dir, "filler");
  return {
    fill: () => writeUntilFull(filler),
    empty: () => rmSync(filler, { force: true }),
    close: async () => void (await run("umount", ["--lazy", redis.dir])),
  };
}

function writeUntilFull(path: string): void {
  const file = openSync(path, "w");
  try {
    for (;;) writeSync(file, BLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  } finally {
    closeSync(file);
  }
}
