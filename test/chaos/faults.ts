/** The faults: what is done to a site, and how it is undone. */
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { copyCheckout } from "./code.ts";
import type { Ledger } from "./ledger.ts";
import { commandOf, descendantsOf, killIfThere, sandboxProcesses, zygotesOf } from "./processes.ts";
import { oneOf, type Random } from "./random.ts";
import type { Service } from "./service.ts";
import type { Site } from "./site.ts";
import { monotonicMs, until } from "./time.ts";

export interface Fault {
  /** Before anything happens, while calls run. */
  prepare?(scene: Scene): Promise<void>;
  /** Resolves when it has begun; without `heal` when it is over. */
  begin(scene: Scene): Promise<void>;
  heal?(scene: Scene): Promise<void> | void;
}

/** All that a fault may need to know. */
export class Scene {
  readonly site: Site;
  readonly random: Random;
  readonly duringMs: number;
  readonly #ledger: Ledger;

  constructor(parts: { site: Site; ledger: Ledger; random: Random; duringMs: number }) {
    this.site = parts.site;
    this.random = parts.random;
    this.duringMs = parts.duringMs;
    this.#ledger = parts.ledger;
  }

  /** Resolves with a worker as soon as a slow call runs in it. */
  async busyWorker(): Promise<{ worker: Service; index: number; pid: number }> {
    const { executions, workers } = this.site;
    for (;;) {
      const noted = [...executions.read()];
      const open = noted.filter(([id]) => this.#ledger.isOpen(id, "slow")).flatMap(([, runs]) => runs);
      const busy = workers.flatMap((worker, index) => {
        const { pid } = worker;
        return pid !== null && open.some((run) => run.pid === pid) ? [{ worker, index, pid }] : [];
      });
      const found = oneOf(this.random, busy);
      if (found !== undefined) return found;
      await until(monotonicMs() + 20);
    }
  }
}

const PAUSE_MS = 2_000;

/** The same strike again and again, with pauses, while the fault lasts; once at least. */
function strikes(strike: (scene: Scene) => Promise<void>): Fault {
  return {
    async begin(scene) {
      const endMs = monotonicMs() + scene.duringMs;
      await strike(scene);
      while (monotonicMs() + PAUSE_MS < endMs) {
        await until(monotonicMs() + PAUSE_MS * (0.5 + scene.random()));
        await strike(scene);
      }
    },
  };
}

export const nothing: Fault = { async begin() {}, heal() {} };

export const killSandboxes = strikes(async (scene) => {
  const { index } = await scene.busyWorker();
  for (const pid of sandboxProcesses(index)) killIfThere(pid);
});

export const killZygote = strikes(async (scene) => {
  const { pid } = await scene.busyWorker();
  for (const zygote of zygotesOf(pid)) killIfThere(zygote);
});

export const killWorker = strikes(async (scene) => {
  const { worker } = await scene.busyWorker();
  await worker.kill();
  await worker.ready();
});

export const killGateway = strikes(async (scene) => {
  await scene.busyWorker();
  const gateway = oneOf(scene.random, scene.site.gateways) as Service;
  await gateway.kill();
  await gateway.ready();
});

export const killRedis = strikes(async (scene) => {
  await scene.busyWorker();
  await scene.site.redis.kill();
  await scene.site.redis.restart();
});

/** Bundlers of builds, as soon as they show themselves. Whoever deploys goes on deploying. */
export const killBuilders: Fault = {
  async begin({ site, duringMs }) {
    const endMs = monotonicMs() + duringMs;
    while (monotonicMs() < endMs) {
      const found = site.workers.flatMap(({ pid }) => (pid === null ? [] : descendantsOf(pid)));
      for (const pid of found.filter((one) => commandOf(one).includes("esbuild"))) killIfThere(pid);
      await until(monotonicMs() + 20);
    }
  },
};

/** All processes at once; the machine comes back with what is on its disk. */
export const losePower: Fault = {
  async begin({ site }) {
    await Promise.all([site.redis.kill(), ...site.services.map((service) => service.stop("SIGKILL"))]);
    await site.redis.restart();
    await startAll(site.services);
  },
};

export const loseWorkers: Fault = {
  begin: ({ site }) => Promise.all(site.workers.map((worker) => worker.stop("SIGKILL"))).then(() => {}),
  heal: ({ site }) => startAll(site.workers),
};

export const stopRedis: Fault = {
  async begin({ site }) {
    process.kill(site.redis.pid, "SIGSTOP");
  },
  heal: ({ site }) => void process.kill(site.redis.pid, "SIGCONT"),
};

/** A worker that has calls. */
export const stopWorker: Fault = {
  async begin(scene) {
    const { worker } = await scene.busyWorker();
    worker.signal("SIGSTOP");
  },
  heal({ site }) {
    for (const worker of site.workers) worker.signal("SIGCONT");
  },
};

export const stopGateway: Fault = {
  async begin({ site }) {
    site.gateways[0]?.signal("SIGSTOP");
  },
  heal: ({ site }) => site.gateways[0]?.signal("SIGCONT"),
};

/** No memory for anything new; `noeviction` has Redis refuse to write. */
export const fillRedis: Fault = {
  begin: ({ site }) => configure(site, "maxmemory", "1mb"),
  heal: ({ site }) => configure(site, "maxmemory", "0"),
};

/** The file cannot grow; Redis refuses to write. */
export const fillDisk: Fault = {
  async begin({ site }) {
    site.disk?.fill();
  },
  heal: ({ site }) => site.disk?.empty(),
};

/** Redis' file is replaced by a copy from before, while gateways and workers live on. */
export const restoreBackup: Fault = {
  prepare: async ({ site }) => cpSync(join(site.redis.dir, FILES), backupOf(site), { recursive: true }),
  async begin(scene) {
    const { site } = scene;
    await scene.busyWorker();
    await site.redis.kill();
    rmSync(join(site.redis.dir, FILES), { recursive: true });
    cpSync(backupOf(site), join(site.redis.dir, FILES), { recursive: true });
    rmSync(backupOf(site), { recursive: true });
    await site.redis.restart();
  },
};

function backupOf(site: Site): string {
  return join(site.dataDir, "backup");
}

/** Where Redis keeps its append-only file. */
const FILES = "appendonlydir";

export const hangCollector: Fault = {
  async begin({ site }) {
    site.collector?.hang();
  },
  heal: ({ site }) => site.collector?.heal(),
};

/** Between the far machine and Redis. */
export const cutNetwork: Fault = {
  begin: async ({ site }) => site.machine?.cut(),
  heal: async ({ site }) => site.machine?.heal(),
};

/** Of the first worker or gateway. */
export function setClock(kind: "gateways" | "workers", offsetMs: number): Fault {
  const set = (site: Site, ms: number) => {
    for (const service of site[kind].slice(0, 1)) site.setClock(service, ms);
  };
  return { begin: async ({ site }) => set(site, offsetMs), heal: ({ site }) => set(site, 0) };
}

/** One by one, workers first, as docs/DEPLOYMENT.md says. */
export const rollingRestart: Fault = {
  async begin({ site }) {
    for (const service of [...site.workers, ...site.gateways]) {
      await service.stop();
      await service.start();
    }
  },
};

/** Everything but Redis ends gently, and starts from code in another place on the same data. */
export const upgrade: Fault = {
  async begin({ site }) {
    for (const services of [site.gateways, site.workers]) {
      await Promise.all(services.map((service) => service.stop()));
    }
    site.code = copyCheckout();
    await startAll(site.services);
  },
};

async function startAll(services: readonly Service[]): Promise<void> {
  await Promise.all(services.map((service) => service.start()));
}

async function configure(site: Site, name: string, value: string): Promise<void> {
  const redis = site.redis.connect();
  await redis.config("SET", name, value);
  redis.disconnect();
}
