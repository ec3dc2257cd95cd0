/** Memory and more that the processes of a platform hold, as a line of text. */
import { readdirSync, readFileSync } from "node:fs";
import type { Platform } from "../helpers/platform.ts";

const KIB_OF_MIB = 1_024;

/** Resident memory of a process in MiB, and its descriptors. */
function processHolds(pid: number): string {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const kib = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
  return `${Math.round(kib / KIB_OF_MIB)} MiB, ${readdirSync(`/proc/${pid}/fd`).length} descriptors`;
}

/** Memory, descriptors and keys of gateway, worker and Redis now. */
export async function held(platform: Platform): Promise<string> {
  const redis = platform.redis.connect();
  try {
    const parts = [
      ...platform.gatewayPids.map((pid) => `gateway ${processHolds(pid)}`),
      ...platform.workers.map(({ pid }) => `worker ${processHolds(pid as number)}`),
      `Redis ${processHolds(platform.redis.pid)}, ${await redis.dbsize()} keys`,
    ];
    return parts.join("; ");
  } finally {
    redis.disconnect();
  }
}
