/** A pool over a real launcher, without queue and Redis around it. */
import { after, afterEach } from "node:test";
import { functionConfigSchema } from "../../functions/model/manifest.ts";
import type { Version } from "../../functions/model/version.ts";
import { MIB } from "../../infra/std/bytes.ts";
import { openLauncher } from "../../sandbox-core/host/open.ts";
import type { ZygoteLauncher } from "../../sandbox-core/launcher/launcher.ts";
import { DEFAULT_RENEWAL, type Renewal } from "../../sandbox-core/launcher/launcher-options.ts";
import type { WorkLimits } from "../../sandbox-core/launcher/work-limit.ts";
import type { CallInput, RunningCall } from "../../worker/instance/call.ts";
import { Instance } from "../../worker/instance/instance.ts";
import { firstOf, templateOf } from "../../worker/instance/template.ts";
import { CallLog } from "../../worker/outcome/call-log.ts";
import { sandboxLimits } from "../../worker/pool/capacity.ts";
import type { Handled, Lease } from "../../worker/pool/lease.ts";
import type { PoolOptions } from "../../worker/pool/options.ts";
import { Pool } from "../../worker/pool/pool.ts";
import type { MachineProcessors } from "../../worker/pool/tenant-weights.ts";
import type { Demand } from "../../worker/pool/waiting-call.ts";
import { sharedZygote } from "../../worker/pool/zygote-key.ts";
import { Zygotes } from "../../worker/pool/zygotes.ts";
import { type LentLauncher, LentLaunchers } from "./lent-launchers.ts";
import { stretched } from "./slowness.ts";

type Settings = Partial<
  Pick<PoolOptions, "prewarmed" | "idleMs" | "zygoteSharing" | "tenants" | "egressOf"> &
    PoolOptions["limits"] & {
      renewal: Renewal;
      maxZygotes: number;
      giveUpMs: number;
      zygoteFlags: readonly string[];
      sandboxesAhead: boolean;
      preparationLimits: WorkLimits;
      machine: MachineProcessors;
    }
>;

/** Far from the uids of a platform that may run beside the tests. */
const UIDS = { uidBase: 2_000_000, uidCount: 65_536 };

/** Answers with what identifies the instance, and how many calls it has served. */
const WHO = `
  let calls = 0;
  const id = crypto.randomUUID();
  export default () => Response.json({ id, calls: ++calls });`;

export interface FunctionOptions {
  tenant?: string;
  name?: string;
  version?: string;
  memoryMiB?: 64 | 128 | 256 | 512;
  timeoutMs?: number;
  isolation?: "instance" | "invocation";
  code?: string;
  expiresInMs?: number;
  mayShare?: boolean;
  onExchanged?: NonNullable<Demand["onExchanged"]>;
}

export class TestPool {
  readonly pool: Pool;
  readonly troubles: string[] = [];
  readonly #zygotes: Zygotes<ZygoteLauncher | LentLauncher>;

  /** @param lent where launchers come from that need nothing special, and go to in the end */
  constructor(settings: Settings = {}, lent?: LentLaunchers) {
    const { prewarmed = 0, idleMs = 60_000, maxSandboxes = 8, memoryBudgetBytes = 4_096 * MIB } = settings;
    const {
      zygoteFlags = [],
      sandboxesAhead = true,
      renewal = DEFAULT_RENEWAL,
      zygoteSharing = "shared",
      maxZygotes = 16,
      giveUpMs = stretched(5_000),
      preparationLimits,
    } = settings;
    const isPlain = renewal === DEFAULT_RENEWAL && zygoteFlags.length === 0 && sandboxesAhead;
    const onTrouble = (message: string) => void this.troubles.push(message);
    this.#zygotes = new Zygotes({
      open: async (memoryMiB) =>
        isPlain && lent
          ? lent.lend(memoryMiB)
          : openLauncher({ memoryMiB, ...UIDS, renewal, zygoteFlags, sandboxesAhead, kind: "fork" }),
      ...{ most: maxZygotes, idleMs, kept: sharedZygote(128), giveUpMs },
      onLeaving: (key) => this.pool.leave(key),
      keepStandby: (launcher) => launcher.keepStandby(),
      onFailure: onTrouble,
    });
    this.pool = new Pool({
      zygotes: this.#zygotes,
      limits: { maxSandboxes, memoryBudgetBytes },
      ...(settings.machine && { machine: settings.machine }),
      limitsOf: sandboxLimits,
      zygoteSharing,
      prewarmed,
      prewarmedMemoryMiB: 128,
      idleMs,
      warmPercent: 50,
      ...(settings.tenants && { tenants: settings.tenants }),
      ...(settings.egressOf && { egressOf: settings.egressOf }),
      load: async (sandbox, { version, bundle, log }) =>
        firstOf(
          await Instance.load(
            sandbox,
            version,
            bundle,
            { start: log, idle: log },
            { ...(preparationLimits && { limits: preparationLimits }) },
          ),
          log,
        ),
      makeTemplate: templateOf,
      onTrouble,
    });
  }

  /** Pid of the zygote of a class. */
  async zygotePid(memoryMiB = 128): Promise<number> {
    return (await this.#zygotes.open(sharedZygote(memoryMiB))).zygotePid();
  }

  acquire(options: FunctionOptions = {}): Promise<Lease> {
    return this.pool.acquire(demandOf(options));
  }

  /** Acquires, calls once, releases; gives what the function answered. */
  async use(options: FunctionOptions = {}): Promise<{ id: string; calls: number; start: string }> {
    const lease = await this.acquire(options);
    const text = await callText(lease);
    lease.release();
    return { ...(JSON.parse(text) as { id: string; calls: number }), start: lease.start.kind };
  }

  close(): Promise<void> {
    return this.pool.close();
  }
}

/** The wish of a call of a function. */
export function demandOf(options: FunctionOptions): Demand {
  const { expiresInMs = stretched(30_000), code = WHO, mayShare = false, onExchanged = () => {} } = options;
  const bundle = { code: Buffer.from(code), sourceMap: new Uint8Array(0) };
  const expiresAtMs = Date.now() + expiresInMs;
  return { version: versionOf(options), bundle, expiresAtMs, mayShare, log: quiet(), onExchanged };
}

/** The body of a call's reply; rejects with the failure of one that has none. */
export async function callText(lease: Lease, path = "/", sent = new Uint8Array(0)): Promise<string> {
  const body: Uint8Array[] = [];
  const { failure, idle } = await begin(lease, path, body, sent);
  if (failure !== null) throw new Error(failure.message);
  await idle;
  return Buffer.concat(body).toString("utf8");
}

/** Hands a call over; what it answers is added to `body`. */
export function begin(lease: Lease, path = "/", body: Uint8Array[] = [], sent = new Uint8Array(0)): Promise<Handled> {
  return lease.call(inputOf(path, body, sent));
}

/** Hands a call over to an instance, with nobody to have another one run it. */
export function beginAt({ instance }: Lease, path = "/"): RunningCall | null {
  return instance.call(inputOf(path, [], new Uint8Array(0)));
}

function inputOf(path: string, body: Uint8Array[], sent: Uint8Array): CallInput {
  return {
    request: {
      ...{ invocationId: crypto.randomUUID(), method: "GET", url: `http://sandpiper.test${path}`, path },
      ...{ headers: [], remoteAddress: "127.0.0.1", traceparent: null, tracestate: null },
    },
    body: sent,
    log: quiet(),
    onBegin: () => {},
    onHead: (head) => void body.push(head.body),
    onChunk: (bytes) => void body.push(bytes),
  };
}

/**
 * Opens pools for the tests of a file, and closes those of each test after it. Zygotes go from one
 * to the next, unless they are what the file is about.
 * @param usual settings of all pools of the file
 */
export function poolOpener(usual: Settings & { ownZygotes?: boolean } = {}): (settings?: Settings) => TestPool {
  const { ownZygotes = false } = usual;
  const opened: TestPool[] = [];
  const lent = new LentLaunchers((memoryMiB) => openLauncher({ memoryMiB, ...UIDS, kind: "fork" }));
  afterEach(async () => {
    for (const pool of opened.splice(0)) await pool.close();
  });
  after(() => lent.close());
  return (settings) => {
    const pool = new TestPool({ ...usual, ...settings }, ownZygotes ? undefined : lent);
    opened.push(pool);
    return pool;
  };
}

function versionOf(options: FunctionOptions): Version {
  const {
    tenant = "main",
    name = "f",
    version = "v1",
    memoryMiB = 128,
    timeoutMs = stretched(5_000),
    isolation,
  } = options;
  const config = functionConfigSchema.parse({ name, memoryMiB, timeoutMs, isolation });
  return {
    ...{ tenant, functionName: name, version, config, entry: "index.ts", files: [] },
    ...{ bundle: "", sourceMap: "", bundleBytes: 0, createdAtMs: 0 },
  };
}

function quiet(): CallLog {
  return new CallLog(null, () => {});
}
