/** A worker: everything that takes calls and builds from the queue and runs them, put together. */
import type { Redis } from "ioredis";
import type { Invocation } from "../functions/model/invocation.ts";
import { reportLink } from "../functions/redis/link-report.ts";
import type { MasterKeys } from "../functions/secrets/master-keys.ts";
import { FileArtifactStore } from "../functions/store/artifacts.ts";
import { TenantSettings } from "../functions/store/limits/tenant-settings.ts";
import { limitRecords } from "../functions/store/log-batch.ts";
import { Registry } from "../functions/store/registry.ts";
import { CancellationReceiver } from "../functions/transport/cancellations.ts";
import { ClaimAsker } from "../functions/transport/claims.ts";
import { InvocationWorker } from "../functions/transport/invocation-queue.ts";
import type { ReplySender } from "../functions/transport/reply-sender.ts";
import type { Config } from "../infra/config.ts";
import type { Logger } from "../infra/log.ts";
import { MIB } from "../infra/std/bytes.ts";
import { settledWithin } from "../infra/std/time.ts";
import {
  type Attestation,
  EgressRelay,
  openLauncher,
  runProgram,
  type ZygoteEnd,
  type ZygoteLauncher,
} from "../sandbox-core/index.ts";
import { removeLeftBuildDirectories } from "./code/build-directory.ts";
import { Bundles } from "./code/bundles.ts";
import { IncludedFiles } from "./code/included-files.ts";
import { tellSandboxEnd, tellZygoteEnd } from "./deaths.ts";
import { DegradedWalls } from "./degraded-walls.ts";
import { Egress } from "./egress.ts";
import { relaySettings } from "./egress-settings.ts";
import { allSandboxes, checkAllowances, checkDenied, refuseToServe } from "./fitness.ts";
import { Heartbeat } from "./heartbeat.ts";
import { Departures } from "./instance/departures.ts";
import { Instance } from "./instance/instance.ts";
import { NoTemplateReasons } from "./instance/no-template-reason.ts";
import { firstOf, templateOf } from "./instance/template.ts";
import { invoke } from "./invoke.ts";
import { type WorkerFigures, WorkerMetrics } from "./metrics.ts";
import { CallLog } from "./outcome/call-log.ts";
import { EgressReport } from "./outcome/egress-report.ts";
import { openCall, type Parts } from "./path/context.ts";
import { failAbandoned, failExpired, failGivenUp, failLost, writeLog } from "./path/record.ts";
import { UsageMeter } from "./path/usage-meter.ts";
import { DEFAULT_MEMORY_MIB, sandboxLimits } from "./pool/capacity.ts";
import { Pool } from "./pool/pool.ts";
import { sharedZygote } from "./pool/zygote-key.ts";
import { Zygotes } from "./pool/zygotes.ts";
import { openBodies, openReplies } from "./replies.ts";
import { WorkerSecrets } from "./secrets.ts";
import { Tasks } from "./tasks.ts";

const MAX_BUNDLES_IN_MEMORY_BYTES = 256 * MIB;
/** A bundle that nobody asked for in this time, or up to twice as long, is dropped. */
const UNUSED_BUNDLE_MS = 600_000;
/** Longest time that launches may go on failing; then the calls that wait for a sandbox fail. */
const GIVE_UP_MS = 5_000;
/**
 * Time for calls to end by themselves when the worker is told to end; the others are ended and
 * answered.
 */
const DRAIN_MS = 20_000;
/** Longest wait of a call for its worker to hear which clients have left. */
const CANCELLATIONS_MS = 2_000;
/** Time for the last replies to leave when Redis is away. */
const LAST_REPLIES_MS = 2_000;

export class Worker {
  /** Its figures, for whoever serves them. */
  readonly metrics: WorkerMetrics;
  readonly #zygotes: Zygotes<ZygoteLauncher>;
  readonly #degraded: DegradedWalls;
  readonly #pool: Pool;
  readonly #noTemplateReasons: NoTemplateReasons;
  readonly #egress: Egress;
  readonly #included: IncludedFiles;
  readonly #secrets: WorkerSecrets;
  readonly #settings: TenantSettings;
  readonly #replies: ReplySender;
  readonly #parts: Parts;
  readonly #calls: InvocationWorker;
  readonly #cancellations: CancellationReceiver;
  readonly #claims: ClaimAsker;
  readonly #tasks: Tasks;
  readonly #heartbeat: Heartbeat;
  #bundleTimer: NodeJS.Timeout | undefined;
  readonly #log: Logger;
  readonly #onTrouble: (message: string, error?: unknown) => void;
  #launcher: ZygoteLauncher | undefined;
  /** Why sandboxes are no forks although they should be. */
  #fallback: string | undefined;
  #running = 0;

  /**
   * @param redis must be patient: it waits for Redis when that is away.
   * @param onDegraded told of the walls that sandboxes do without from now on, as the configuration
   * allows.
   * @throws ConfigError when it allows what cannot be allowed
   */
  constructor(
    config: Config & { masterKeys: MasterKeys },
    redis: Redis,
    log: Logger,
    onDegraded: (walls: readonly string[]) => void = () => {},
  ) {
    const allowed = checkAllowances(config.worker.allowDegraded);
    checkDenied(config.egress.deny);
    reportLink(redis, log);
    limitRecords(redis, config.records);
    this.#log = log;
    this.metrics = new WorkerMetrics(config.metricsMaxFunctions);
    this.#onTrouble = (message, error) => log.warn(message, error === undefined ? {} : { error });
    this.#degraded = new DegradedWalls({ allowed, onTrouble: this.#onTrouble, onMore: onDegraded });
    this.#zygotes = this.#makeZygotes(config);
    this.#egress = this.#makeEgress(config, redis);
    this.#settings = new TenantSettings(redis, config.quotas);
    this.#pool = this.#makePool(config);
    this.#replies = openReplies(redis, this.#onTrouble, () => this.#running);
    const [artifacts, registry] = [new FileArtifactStore(config.artifactsDir), new Registry(redis)];
    this.#included = new IncludedFiles(artifacts);
    const [{ masterKeys }, onTrouble] = [config, this.#onTrouble];
    this.#secrets = new WorkerSecrets({ redis, masterKeys, onTrouble, onOutdated: () => this.#pool.endOutdated() });
    this.#noTemplateReasons = this.#makeNoTemplateReasons(registry);
    this.#parts = {
      redis,
      bundles: new Bundles({ registry, artifacts, included: this.#included, maxBytes: MAX_BUNDLES_IN_MEMORY_BYTES }),
      pool: this.#pool,
      departures: new Departures(),
      usage: new UsageMeter({ redis, keepMs: config.usageKeepMs, onTrouble }),
      limits: config,
      sendReply: (gatewayId, reply) => this.#replies.send(gatewayId, reply),
      untilTaken: (gatewayId) => this.#replies.untilTaken(gatewayId),
      ...{ bodies: openBodies(redis, onTrouble), onTrouble },
      onRecord: (record) => this.metrics.onRecord(record),
    };
    this.metrics.ask(() => this.#figures(config));
    this.#cancellations = new CancellationReceiver(redis, (one) => this.#parts.departures.hear(one));
    this.#claims = new ClaimAsker(redis);
    this.#calls = this.#makeCalls(redis);
    this.#tasks = new Tasks(this.#parts, config, artifacts, (program) =>
      this.#zygotes.use(sharedZygote(DEFAULT_MEMORY_MIB), (launcher) => runProgram(launcher, program)),
    );
    this.#heartbeat = new Heartbeat(redis, config.worker.workerId, () => this.facts());
  }

  /**
   * Takes calls and builds from now on. @throws UnfitError when a wall or a master key is missing,
   * SandboxError for what else fails.
   */
  async start(): Promise<void> {
    await this.#secrets.openData();
    // Found out now, and not by the first call.
    const opened = this.#zygotes.open(sharedZygote(DEFAULT_MEMORY_MIB));
    this.#launcher = await opened.catch(refuseToServe);
    await removeLeftBuildDirectories();
    await this.#pool.prewarm();
    await this.#cancellations.current();
    this.#calls.start();
    this.#tasks.start();
    this.#heartbeat.start();
    this.#bundleTimer = setInterval(() => this.#parts.bundles.dropUnused(), UNUSED_BUNDLE_MS).unref();
    this.#zygotes.keepStandbys();
  }

  /** Facts that the worker tells about itself. */
  facts() {
    return {
      posture: {
        launcher: this.#launcher?.kind ?? "none",
        degraded: this.#degraded.names,
        ...(this.#launcher?.kind === "exec" && this.#fallback !== undefined && { fallback: this.#fallback }),
      },
      running: this.#running,
      room: this.#freeSlots(),
      pool: { ...this.#pool.snapshot() },
    };
  }

  /** Takes nothing new, lets calls and builds end, and ends every sandbox. */
  async drain(): Promise<void> {
    const drained = Promise.all([this.#calls.close(), this.#tasks.close()]);
    // From now on it is no worker that gateways could wait for.
    await this.#heartbeat.stop();
    await settledWithin(DRAIN_MS, drained);
    await this.stop();
    const written = drained.then(() => this.#parts.usage.write());
    await settledWithin(LAST_REPLIES_MS, written);
  }

  /** Ends every sandbox now; calls in course are answered as lost. May be called during `drain`. */
  async stop(): Promise<void> {
    clearInterval(this.#bundleTimer);
    for (const holder of [this.#pool, this.#egress, this.#included, this.#parts.bodies]) await holder.close();
    for (const listener of [this.#cancellations, this.#secrets, this.#settings, this.#claims]) listener.close();
    await settledWithin(LAST_REPLIES_MS, Promise.all([this.#replies.close(), this.#parts.usage.write()]));
    await this.#heartbeat.stop();
  }

  /** Pid of the process that carries outgoing connections, while there is one. */
  get relayPid(): number | undefined {
    return this.#egress.relayPid;
  }

  #figures({ worker: limits }: Config): WorkerFigures {
    return {
      ...this.facts(),
      limits,
      zygotes: this.#zygotes.count,
      sandboxMemoryBytes: () => this.#pool.memoryBytes(),
    };
  }

  #freeSlots(): number {
    return this.#pool.size - this.#running;
  }

  async #run(invocation: Invocation): Promise<void> {
    this.#running += 1;
    this.#parts.bodies.meet(invocation.replyTo);
    const { departures } = this.#parts;
    const departure = departures.open(invocation.id);
    // Clients may have left while that connection was broken, and this worker not heard of it.
    const heardAll = this.#cancellations.current();
    if (heardAll !== null) await settledWithin(CANCELLATIONS_MS, heardAll);
    const onEnded = () => {
      departures.close(invocation.id);
      this.#running -= 1;
      this.#calls.slotsChanged();
    };
    await invoke(openCall(this.#parts, { invocation, departure, onEnded }));
  }

  #makeZygotes({ worker }: Config): Zygotes<ZygoteLauncher> {
    const { uidBase, uidCount, launcher: kind, zygoteRenewal: renewal, cpuWeight } = worker;
    const limits = { uidBase, uidCount, ...(cpuWeight !== null && { cpuWeight }) };
    const onAttested = (attestation: Attestation) => {
      this.metrics.onZygoteStart();
      this.#degraded.note(attestation);
    };
    const onZygoteEnd = (end: ZygoteEnd) => {
      this.metrics.onZygoteEnd(end);
      tellZygoteEnd(this.#log, end);
    };
    const onFallback = (reason: string) => {
      this.#fallback = reason;
      this.#onTrouble(`${reason}; each sandbox starts a process of its own until forks live again`);
    };
    const onReturn = () => this.#onTrouble("forks live again: sandboxes are forks from now on");
    const told = { onFallback, onReturn, onTrouble: this.#onTrouble, onAttested, onZygoteEnd };
    const options = { ...limits, kind, renewal, allowDegraded: this.#degraded.allowed, ...told };
    const kept = sharedZygote(DEFAULT_MEMORY_MIB);
    return new Zygotes({
      open: (memoryMiB) => openLauncher({ memoryMiB, ...options }),
      most: worker.maxZygotes,
      idleMs: worker.idleMs,
      kept,
      giveUpMs: GIVE_UP_MS,
      onLeaving: (key) => this.#pool.leave(key),
      keepStandby(launcher, { key }) {
        const isWanted = { none: false, default: key === kept.key, all: true }[worker.standbyZygotes];
        if (isWanted) launcher.keepStandby();
      },
      onFailure: this.#onTrouble,
    });
  }

  #makePool({ worker }: Config): Pool {
    return new Pool({
      zygotes: this.#zygotes,
      machine: allSandboxes(worker.cpuWeight),
      limits: worker,
      limitsOf: sandboxLimits,
      zygoteSharing: worker.zygotes,
      ...{ prewarmed: worker.prewarmed, idleMs: worker.idleMs, warmPercent: worker.warmPercent },
      prewarmedMemoryMiB: DEFAULT_MEMORY_MIB,
      tenants: this.#settings,
      egressOf: (version) => this.#egress.socketsOf(version),
      load: async (sandbox, { version, bundle, log }) => {
        const idle = new CallLog(null, (records) => writeLog(this.#parts, version, records));
        const environment = await this.#secrets.environmentOf(version, log);
        const egress = await this.#egress.open(sandbox, version, environment, log);
        const logs = { start: log, idle };
        const loaded = await Instance.load(sandbox, version, bundle, logs, { environment, egress });
        egress?.loaded(new EgressReport(version.tenant, idle, null));
        const first = await firstOf(loaded, log);
        this.#noTemplateReasons.note(version, loaded, log);
        return first;
      },
      makeTemplate: async (loaded, { version, log }) => {
        const template = await templateOf(loaded);
        this.#noTemplateReasons.note(version, loaded, log);
        return template;
      },
      onSandboxEnd: (sandbox, exit) => {
        this.metrics.onSandboxEnd(exit);
        tellSandboxEnd(this.#log, sandbox, exit);
      },
      onLaunched: (tookMs) => this.metrics.onLaunched(tookMs),
      onTrouble: this.#onTrouble,
    });
  }

  #makeEgress(config: Config, redis: Redis): Egress {
    return new Egress({
      redis,
      relay: new EgressRelay(relaySettings(config, this.#onTrouble, () => this.metrics.onEgressFailure())),
      defaults: config.egress,
      limits: config.worker.egressRelay.limits,
      onEvent: (tenant, event) => this.metrics.onEgress(tenant, event),
      onTrouble: this.#onTrouble,
    });
  }

  #makeNoTemplateReasons(registry: Registry): NoTemplateReasons {
    const onUnkept = (error: Error) => this.#onTrouble("why a version has no template was not kept", error);
    return new NoTemplateReasons({
      keep: (version, noTemplateReason) =>
        void registry.noteNoTemplateReason(version, noTemplateReason).catch(onUnkept),
      onFound: (message) => this.#onTrouble(message),
    });
  }

  #makeCalls(redis: Redis): InvocationWorker {
    return new InvocationWorker(redis, {
      freeSlots: () => this.#freeSlots(),
      run: (invocation) => this.#run(invocation),
      lost: (calls) => failLost(this.#parts, calls),
      expired: (calls) => failExpired(this.#parts, calls),
      abandoned: (calls) => failAbandoned(this.#parts, calls),
      stillWaitedFor: (calls) => this.#claims.stillWaitedFor(calls),
      givenUp: (calls) => failGivenUp(this.#parts, calls),
      onError: (error) => this.#onTrouble("the queue has trouble", error),
    });
  }
}
