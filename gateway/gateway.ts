/** A gateway, put together: what it holds, in which order it begins, and how it ends. */

import { randomUUID } from "node:crypto";
import type { IncomingMessage, Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";
import { denyProblems } from "../functions/model/egress-grants.ts";
import { SandpiperError } from "../functions/model/errors.ts";
import type { Reply } from "../functions/model/invocation.ts";
import { connectionLike, FAIL_FAST, whenReady } from "../functions/redis/connections.ts";
import { reportLink } from "../functions/redis/link-report.ts";
import { KeyUses } from "../functions/store/api-keys.ts";
import { FileArtifactStore } from "../functions/store/artifacts.ts";
import { DataKeys } from "../functions/store/data-keys.ts";
import { limitRecords } from "../functions/store/log-batch.ts";
import { Registry } from "../functions/store/registry.ts";
import { SecretStore } from "../functions/store/secrets.ts";
import { SigningKeys } from "../functions/store/signing-keys.ts";
import { TenantStops } from "../functions/store/tenant-stops.ts";
import { listWorkers } from "../functions/store/workers.ts";
import { Backlog } from "../functions/transport/backlog.ts";
import { dropBody } from "../functions/transport/bodies.ts";
import { BodyDesk } from "../functions/transport/body-desk.ts";
import { BuildQueue } from "../functions/transport/build-queue.ts";
import { CancellationSender } from "../functions/transport/cancellations.ts";
import { CheckQueue } from "../functions/transport/check-queue.ts";
import { ClaimAnswerer } from "../functions/transport/claims.ts";
import { InvocationQueue } from "../functions/transport/invocation-queue.ts";
import { ReplyReceiver } from "../functions/transport/reply-receiver.ts";
import { ConfigError } from "../infra/environment.ts";
import type { Logger } from "../infra/log.ts";
import { MIB } from "../infra/std/bytes.ts";
import { accessLog } from "./access-log.ts";
import { registerBootstrapKey } from "./bootstrap-key.ts";
import { AccessCheck } from "./call/access.ts";
import { CurrentVersions } from "./call/current-versions.ts";
import { Gate } from "./call/gate.ts";
import { invoke } from "./call/invoke.ts";
import { Jwks } from "./call/jwks.ts";
import { UnrunRecords } from "./call/unrun-records.ts";
import { Calls } from "./call/waiting-calls.ts";
import type { EndedCall } from "./call/watched-call.ts";
import { CanaryTimer } from "./canary-timer.ts";
import { CollectionTimer, makeCollector, makeUploadQuota } from "./collection-timer.ts";
import { connectedTo } from "./connected.ts";
import { createApp } from "./control/app.ts";
import type { DomainParts } from "./control/context.ts";
import { KeyedTurns } from "./control/turns.ts";
import { makeHosts } from "./domains.ts";
import type { Gateway, GatewayConfig, GatewayOptions } from "./gateway-options.ts";
import { Budget } from "./http/budget.ts";
import { Clients } from "./http/clients.ts";
import { FUNCTION_PREFIX, NO_HOST } from "./http/hosts.ts";
import { Origins } from "./http/origins.ts";
import { GatewayQuotas } from "./limits/quotas.ts";
import { answersEnd, controlListener, listen, urlHost } from "./listening.ts";
import type { GatewayMetrics } from "./metrics.ts";
import { openData } from "./open-data.ts";
import { followRedisChanges } from "./redis-change.ts";
import { createGatewayServer } from "./server.ts";
import { exchangeSlotWords } from "./slot-words.ts";

/**
 * Most bytes of request bodies, and of answers that clients have not read yet, in memory at once.
 */
const UPLOADS_BYTES = 256 * MIB;
const DOWNLOADS_BYTES = 256 * MIB;
/** How long shutting down waits for calls. */
const DRAIN_CALLS_MS = 30_000;
/** Longest time of a command of a collection, of which some read many versions. */
const COLLECTION_COMMAND_MS = 30_000;

/**
 * Starts a gateway; resolves when it answers.
 * @param redis says where Redis is; the gateway has connections of its own.
 * @throws Error when Redis does not answer in time, or the address cannot be listened on;
 * ConfigError; UnfitError when the data is newer, or the master keys are not those of this Redis.
 */
export async function startGateway(
  config: GatewayConfig,
  redis: Redis,
  log: Logger,
  options: GatewayOptions = {},
): Promise<Gateway> {
  const problems = denyProblems(config.egress.deny);
  if (problems.length > 0) throw new ConfigError(problems);
  const parts = new GatewayParts(config, redis, log, options);
  try {
    await parts.connected();
    await openData({ redis, dataKeys: parts.dataKeys }, log);
    await registerBootstrapKey(parts.redis, config.bootstrapKeyFile);
    await listen(parts.server, config);
    parts.collections.start();
    parts.canaries.start();
  } catch (error) {
    await parts.release();
    throw error;
  }
  const { port } = parts.server.address() as AddressInfo;
  parts.ownUrl = `http://${urlHost(config.host)}:${port}`;
  return { url: config.publicUrl ?? parts.ownUrl, port, drain: () => parts.drain(), stop: () => parts.release() };
}

/** Everything that a gateway holds. */
class GatewayParts {
  readonly redis: Redis;
  readonly server: Server;
  readonly collections: CollectionTimer;
  readonly canaries: CanaryTimer;
  readonly dataKeys: DataKeys;
  ownUrl = "";
  readonly #collecting: Redis;
  readonly #leaveMs: number;
  readonly #endConnections: () => void;
  #isLeaving = false;
  readonly #calls = new Calls((id) => this.#gate.ended(id));
  readonly #queue: InvocationQueue;
  readonly #gate: Gate;
  readonly #quotas: GatewayQuotas;
  readonly #claims: ClaimAnswerer;
  readonly #cancellations: CancellationSender;
  readonly #builds: BuildQueue;
  readonly #checks: CheckQueue;
  readonly #receiver: ReplyReceiver;
  readonly #desk: BodyDesk;
  readonly #versions: CurrentVersions;
  readonly #stops: TenantStops;
  readonly #domains: DomainParts;
  readonly #unrun: UnrunRecords;
  readonly #closing = new AbortController();

  constructor(config: GatewayConfig, redis: Redis, log: Logger, options: GatewayOptions) {
    const { recordsRoots = true, access = log, metrics } = options;
    const gatewayId = randomUUID();
    this.#leaveMs = config.leaveMs;
    this.redis = connectionLike(redis, FAIL_FAST);
    limitRecords(this.redis, config.records);
    this.#unrun = new UnrunRecords(this.redis, () => log.warn("a call that never ran could not be recorded"));
    const registry = new Registry(this.redis);
    this.dataKeys = new DataKeys(this.redis, config.masterKeys);
    this.#queue = new InvocationQueue(redis, () => this.#calls.size);
    this.#cancellations = new CancellationSender(this.redis);
    [this.#builds, this.#checks] = [new BuildQueue(redis), new CheckQueue(redis)];
    this.#versions = new CurrentVersions(redis, registry);
    this.canaries = new CanaryTimer(this.redis, this.#versions, log);
    this.#stops = new TenantStops(this.redis);
    const inCourse = (tenant: string) => this.#calls.of(tenant);
    this.#quotas = new GatewayQuotas(this.redis, config.quotas, { inCourse, metrics });
    this.#gate = this.#makeGate(gatewayId, config.queueWaitMs);
    this.#claims = new ClaimAnswerer(this.redis, gatewayId, (id) => this.#calls.isWaitedFor(id));
    this.#desk = new BodyDesk(this.redis, (message, error) => log.warn(message, { error }));
    this.#receiver = this.#makeReceiver(redis, gatewayId, config, log);
    const { hosts, domains } = makeHosts(config, this.redis);
    this.#domains = domains;
    this.#follow(redis, config, log);
    const budgets = { uploads: new Budget(UPLOADS_BYTES), downloads: new Budget(DOWNLOADS_BYTES) };
    metrics?.ask(this.redis, () => this.#figures(budgets));
    const clients = new Clients(config);
    const shared = { ...this.#shared(config, clients, log), ...budgets };
    const artifacts = new FileArtifactStore(config.artifactsDir);
    this.#collecting = connectionLike(redis, { ...FAIL_FAST, commandTimeout: COLLECTION_COMMAND_MS });
    const collector = makeCollector(config, this.#collecting, artifacts);
    this.collections = new CollectionTimer(collector, config.gcIntervalMs, log);
    const app = createApp({
      ...shared,
      ...{ hosts, domains },
      ...{ registry, artifacts, collector, dataKeys: this.dataKeys, bulk: this.#collecting },
      quota: makeUploadQuota(config, this.redis),
      secrets: new SecretStore(this.redis, this.dataKeys),
      ...{ builds: this.#builds, checks: this.#checks },
      ...{ buildTurns: new KeyedTurns(), treeTurns: new KeyedTurns() },
      ...{ egressDefaults: config.egress, quotaDefaults: config.quotas },
      callsWaiting: (...of) => this.#gate.waiting(...of),
      queueWaitMs: config.queueWaitMs,
      accepting: () => this.#calls.accepting && this.#queue.available,
      leaving: () => this.#isLeaving,
      sendEvent: (request, response, { tenant, functionName }) =>
        invoke(invokeParts, request, response, NO_HOST, `${FUNCTION_PREFIX}${tenant}/${functionName}/`, true),
      closing: this.#closing.signal,
    });
    const invokeParts = {
      ...shared,
      clients,
      ...{ gatewayId, gate: this.#gate, cancellations: this.#cancellations, calls: this.#calls, desk: this.#desk },
      ...{ maxBodyBytes: config.maxBodyBytes, queueWaitMs: config.queueWaitMs },
      recordsRoots,
      onEnded: this.#noteEnd(accessLog(config.accessLog, access), metrics),
    };
    ({ server: this.server, endConnections: this.#endConnections } = createGatewayServer({
      maxHeaderBytes: config.maxHeaderBytes,
      clients,
      hosts,
      invoke: (...call) => void invoke(invokeParts, ...call),
      control: controlListener(app.fetch),
    }));
  }

  /** Parts of calls and of the control API. */
  #shared(config: GatewayConfig, clients: Clients, log: Logger) {
    const keyUses = new KeyUses(this.redis);
    const jwks = new Jwks(config.jwksPrivateNetworks);
    const signingKeys = new SigningKeys(this.redis, this.dataKeys);
    return {
      redis: this.redis,
      ...{ versions: this.#versions, quotas: this.#quotas, stops: this.#stops, signingKeys },
      ...{ keyUses, access: new AccessCheck({ redis: this.redis, keyUses, signingKeys, jwks }) },
      addressOf: (request: IncomingMessage) => clients.addressOf(request),
      origins: new Origins(config, clients, () => this.ownUrl),
      onInternalError: (error: unknown, requestId: string) => log.error("a request failed", { error, requestId }),
    };
  }

  /** The steps for each call that has ended. */
  #noteEnd(log: (call: EndedCall) => void, metrics: GatewayMetrics | undefined) {
    return (call: EndedCall): void => {
      this.#unrun.note(call);
      this.#quotas.noteEnd(call);
      log(call);
      metrics?.onEnded(call);
    };
  }

  #makeReceiver(redis: Redis, gatewayId: string, config: GatewayConfig, log: Logger): ReplyReceiver {
    const handlers = {
      onReply: (reply: Reply) => this.#calls.deliver(reply),
      onBodyLost: (id: string) => this.#calls.bodyLost(id),
      onAway: () => this.#lose(),
      onReady: () => this.#calls.open(),
      onTrouble: (message: string, error?: unknown) => log.warn(message, { error }),
    };
    const places = { socketDir: join(config.dataDir, "replies"), address: config.replyAddress };
    return new ReplyReceiver(redis, gatewayId, handlers, places, this.#desk);
  }

  /** Does what is to be done when Redis is another one, and says so. */
  #follow(redis: Redis, { bootstrapKeyFile }: GatewayConfig, log: Logger): void {
    reportLink(redis, log);
    followRedisChanges(redis, {
      calls: this.#calls,
      ...{ versions: this.#versions, domains: this.#domains.proven },
      registerKey: () => registerBootstrapKey(this.redis, bootstrapKeyFile),
      onTrouble: (message, error) => log.error(message, { error }),
    });
  }

  #figures(budgets: { uploads: Budget; downloads: Budget }) {
    return {
      waitingCalls: this.#calls.size,
      heldCalls: this.#gate.held,
      slots: this.#gate.slots,
      reservedSlots: this.#gate.reservedSlots,
      isAccepting: this.#calls.accepting && this.#queue.available,
      budgets: { ...budgets, queued: this.#calls.bodies },
      replies: this.#receiver.figures,
    };
  }

  #makeGate(gatewayId: string, queueWaitMs: number): Gate {
    const [calls, queue] = [this.#calls, this.#queue];
    return new Gate({
      gatewayId,
      queueWaitMs,
      backlog: new Backlog(this.redis),
      slotsOfWorkers: async () => (await listWorkers(this.redis)).map(({ running, room }) => running + room),
      exchange: (...own) => exchangeSlotWords(this.redis, gatewayId, ...own),
      throughput: calls.throughput,
      submit: (call) => queue.submit(call),
      oldestMs: () => calls.oldestMs,
      isWaitedFor: (id) => calls.isWaitedFor(id),
      quotas: this.#quotas,
      fail: (call, error) => {
        calls.fail(call.id, error);
        void dropBody(this.redis, call.request.body);
      },
    });
  }

  /** Replies can be missed: every call fails, and the workers are to begin none of them. */
  #lose(): void {
    const message = "The connection to the queue was lost. The call did not run.";
    this.#gate.failAll(new SandpiperError("QUEUE_UNAVAILABLE", { message }));
    for (const { id, deadlineMs } of this.#calls.shut()) {
      this.#cancellations.send({ id, overAtMs: deadlineMs, unlessBegun: true });
    }
  }

  /**
   * Resolves when replies can arrive and commands be sent. @throws Error when that takes too long,
   * or the address for workers cannot be listened on.
   */
  async connected(): Promise<void> {
    const connections = [whenReady(this.redis), whenReady(this.#collecting)];
    const queues = [this.#queue.ready(), this.#builds.ready(), this.#checks.ready()];
    const isThere = () => this.#calls.accepting && this.#queue.available;
    await connectedTo(this.#receiver.ready, [...queues, ...connections], isThere);
    await Promise.all([this.#stops.read(), this.#domains.proven.read()]);
  }

  async drain(): Promise<void> {
    this.#isLeaving = true;
    this.#endConnections();
    await delay(this.#leaveMs, undefined, { signal: this.#closing.signal }).catch(() => {});
    this.server.close();
    await this.#calls.drain(DRAIN_CALLS_MS);
    this.#closing.abort();
    await answersEnd(this.server);
    await this.release();
  }

  async release(): Promise<void> {
    this.#closing.abort();
    this.server.close();
    this.server.closeAllConnections();
    const calls = [this.#gate, this.#calls, this.#claims, this.#receiver, this.#desk];
    for (const part of [...calls, this.#versions, this.#stops, this.#domains.proven, this.#quotas]) part.close();
    this.collections.stop();
    this.canaries.stop();
    this.#collecting.disconnect();
    const closing = [this.#queue.close(), this.#builds.close(), this.#checks.close(), this.#unrun.close()];
    await Promise.allSettled(closing);
    this.redis.disconnect();
  }
}
