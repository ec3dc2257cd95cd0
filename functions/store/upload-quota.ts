/**
 * Bounds on what a tenant has others keep for it. Files that became no version, and versions that
 * are not run, stay for a day until they are collected (gc.ts): so the bytes that a tenant wrote in
 * that time are bounded, whatever came of them. Counted by the hour, by Redis's clock, over all
 * gateways together.
 */
import type { Redis } from "ioredis";
import { formatBytes } from "../../infra/std/bytes.ts";
import { SandpiperError } from "../model/errors.ts";

const HOUR_MS = 3_600_000;
/** A file takes room besides its bytes: a block, an inode, a name. */
const FILE_BYTES = 4_096;

/** A hash: bytes by the hour of Redis's clock in which they were written. */
const uploadsKey = (tenant: string): string => `sp:uploads:${tenant}`;

/**
 * KEYS: the tenant's hash. ARGV: bytes, limit, hours that count, whether to count what is too much.
 * Gives how many bytes count, these among them unless they are too many: then also how many hours
 * pass until some count no more.
 */
const TAKE = `
local hour = math.floor(redis.call("TIME")[1] / 3600)
local hours = tonumber(ARGV[3])
local sum, oldest = 0, hour
local fields = redis.call("HGETALL", KEYS[1])
for index = 1, #fields, 2 do
  local of = tonumber(fields[index])
  if of <= hour - hours then redis.call("HDEL", KEYS[1], fields[index])
  else
    sum = sum + tonumber(fields[index + 1])
    oldest = math.min(oldest, of)
  end
end
if ARGV[4] == "0" and sum + tonumber(ARGV[1]) > tonumber(ARGV[2]) then return { sum, oldest + hours - hour } end
if tonumber(ARGV[1]) > 0 then
  redis.call("HINCRBY", KEYS[1], hour, ARGV[1])
  redis.call("PEXPIRE", KEYS[1], (hours + 1) * ${HOUR_MS})
end
return { sum + tonumber(ARGV[1]) }`;

export interface UploadQuotaOptions {
  redis: Redis;
  /** Most bytes of a tenant in that time; 0: any number. */
  limitBytes: number;
  /** How long what nobody needs stays until it is collected. */
  keptMs: number;
}

export class UploadQuota {
  readonly #options: UploadQuotaOptions;

  constructor(options: UploadQuotaOptions) {
    this.#options = options;
  }

  /**
   * Takes room for new files of these sizes, before they are written; with none, asks whether there
   * is some left.
   * @throws SandpiperError UPLOAD_QUOTA
   */
  async take(tenant: string, sizes: readonly number[]): Promise<void> {
    const { limitBytes, keptMs } = this.#options;
    const bytes = sizes.reduce((sum, size) => sum + size + FILE_BYTES, 0);
    const [sum, hoursLeft] = await this.#count(tenant, bytes, false);
    if (hoursLeft === undefined) return;
    const hours = Math.ceil(keptMs / HOUR_MS);
    const had = `The tenant's deployments wrote ${formatBytes(sum)} in the last ${hours} hours`;
    const more = bytes === 0 ? "" : `, and ${formatBytes(bytes)} more are to come`;
    const most = `; ${formatBytes(limitBytes)} are the most. Some room comes back in at most ${hoursLeft} hours.`;
    throw new SandpiperError("UPLOAD_QUOTA", { message: `${had}${more}${most}` });
  }

  /** Counts bytes that were written already, also when they are too many. */
  async note(tenant: string, bytes: number): Promise<void> {
    if (bytes > 0) await this.#count(tenant, bytes, true);
  }

  async #count(tenant: string, bytes: number, isWritten: boolean): Promise<[number, number?]> {
    const { redis, limitBytes, keptMs } = this.#options;
    if (limitBytes === 0) return [0];
    const hours = Math.ceil(keptMs / HOUR_MS) + 1;
    const args = [bytes, limitBytes, hours, isWritten ? 1 : 0];
    return (await redis.eval(TAKE, 1, uploadsKey(tenant), ...args)) as [number, number?];
  }
}
