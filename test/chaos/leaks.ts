/** What a site leaves behind: descriptors and keys while it rests, all else after its end. */
import { readdirSync, readFileSync } from "node:fs";
import type { Redis } from "ioredis";
import { detectCgroups } from "../../sandbox-core/cgroup/detect.ts";
import { ROOT_GROUP } from "../../sandbox-core/cgroup/driver.ts";
import { descendantsOf, type Process, processOf, sandboxProcesses } from "./processes.ts";
import type { Site } from "./site.ts";
import { holdsWithin } from "./time.ts";

const cgroups = detectCgroups();
const LOOK_MS = 250;
/** Only what has leaked takes so long to go. */
const PATIENCE_MS = 30_000;
/** Connections that come and go: BullMQ's, a follower's, a health check's. */
const SPARE_DESCRIPTORS = 12;
/** Jobs of calls and their locks, and bodies; what else is there is kept on purpose. */
const UNDER_WAY = /^sp:(body:|queue:calls:[0-9a-f-]+(:|$))/;

export class Leaks {
  readonly #site: Site;
  readonly #seen = new Map<string, Process>();
  readonly #looking: NodeJS.Timeout;
  #descriptors = new Map<string, number>();

  /** Notes the site's processes from now on. */
  constructor(site: Site) {
    this.#site = site;
    this.#looking = setInterval(() => this.#look(), LOOK_MS);
  }

  /** Notes what the site holds while it rests. Call it once before the fault. */
  async begin(): Promise<void> {
    this.#site.client.rest();
    await this.#rests();
    this.#descriptors = this.#countDescriptors();
  }

  /** What the site holds that it did not hold before, in words. Call it when no call runs. */
  async atRest(): Promise<string[]> {
    let found: string[] = [];
    this.#site.client.rest();
    await holdsWithin(PATIENCE_MS, async () => {
      this.#look();
      found = [...this.#orphans(), ...this.#moreDescriptors(), ...(await this.#keys())];
      return found.length === 0;
    });
    return found;
  }

  /** What is there after the site's end, in words. */
  async afterEnd(): Promise<string[]> {
    this.close();
    let found: string[] = [];
    await holdsWithin(PATIENCE_MS, () => {
      found = [...this.#processes(), ...this.#groups(), ...this.#mounts()];
      return found.length === 0;
    });
    return found;
  }

  /** Looks no more. */
  close(): void {
    clearInterval(this.#looking);
  }

  /** Idle instances end, until each worker has its prewarmed sandbox and perhaps one more. */
  async #rests(): Promise<void> {
    const most = 2 * this.#site.workers.length;
    await holdsWithin(PATIENCE_MS, () => sandboxProcesses().length <= most);
  }

  #look(): void {
    for (const pid of this.#family()) {
      const found = processOf(pid);
      if (found !== null) this.#seen.set(`${pid} ${found.startTime}`, found);
    }
  }

  /** The services that run now, and all that they have started. */
  #family(): number[] {
    const services = this.#site.services.flatMap(({ pid }) => pid ?? []);
    return services.flatMap((service) => [service, ...descendantsOf(service)]);
  }

  #alive(): number[] {
    const alive = [...this.#seen.values()].filter(({ pid, startTime }) => processOf(pid)?.startTime === startTime);
    return alive.map(({ pid }) => pid);
  }

  /** Processes whose service is gone. */
  #orphans(): string[] {
    const family = new Set(this.#family());
    return this.#alive()
      .filter((pid) => !family.has(pid))
      .map((pid) => `process ${pid} without its service`);
  }

  #countDescriptors(): Map<string, number> {
    return new Map(
      this.#site.services.flatMap(({ name, pid }) => (pid === null ? [] : [[name, descriptorsOf(pid)] as const])),
    );
  }

  #moreDescriptors(): string[] {
    return [...this.#countDescriptors()].flatMap(([name, now]) => {
      const before = this.#descriptors.get(name) ?? now;
      return now > before + SPARE_DESCRIPTORS ? [`${name} has ${now} descriptors, and had ${before}`] : [];
    });
  }

  /** Keys that nothing will remove: those that expire do not count. */
  async #keys(): Promise<string[]> {
    const redis = this.#site.redis.connect();
    try {
      const keys = (await redis.keys("sp:*")).filter((key) => UNDER_WAY.test(key));
      const lasting = await keepLasting(redis, keys);
      return lasting.length === 0 ? [] : [`${lasting.length} keys in Redis, as ${lasting[0]}`];
    } finally {
      redis.disconnect();
    }
  }

  #processes(): string[] {
    return [
      ...this.#alive().map((pid) => `process ${pid}`),
      ...sandboxProcesses().map((pid) => `sandbox process ${pid}`),
    ];
  }

  /** Groups of zygotes, which carry the pid in their names. */
  #groups(): string[] {
    const pids = new Set([...this.#seen.values()].map(({ pid }) => String(pid)));
    return cgroups
      .children(ROOT_GROUP)
      .filter((name) => pids.has(name.split("-")[0] ?? ""))
      .map((name) => `group ${ROOT_GROUP}/${name}`);
  }

  #mounts(): string[] {
    return mountTable()
      .split("\n")
      .filter((line) => /sandpiper/.test(line) || line.includes(this.#site.dataDir))
      .map((line) => `mount ${line}`);
  }
}

function mountTable(): string {
  return readFileSync("/proc/self/mountinfo", "utf8");
}

function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

async function keepLasting(redis: Redis, keys: readonly string[]): Promise<string[]> {
  const left = await Promise.all(keys.map((key) => redis.pttl(key)));
  return keys.filter((_, index) => left[index] === -1);
}
