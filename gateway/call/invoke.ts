/**
 * A function's URL: one request becomes one invocation, and its reply becomes the response. The hot
 * path.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Redis } from "ioredis";
import { SandpiperError } from "../../functions/model/errors.ts";
import { type Invocation, REQUEST_LIMITS } from "../../functions/model/invocation.ts";
import { newInvocationId } from "../../functions/model/invocation-id.ts";
import type { TenantStops } from "../../functions/store/tenant-stops.ts";
import { dropBody } from "../../functions/transport/bodies.ts";
import type { BodyDesk } from "../../functions/transport/body-desk.ts";
import type { CancellationSender } from "../../functions/transport/cancellations.ts";
import type { Budget } from "../http/budget.ts";
import type { Clients } from "../http/clients.ts";
import { publicError, sendError } from "../http/error-reply.ts";
import type { KnownHost } from "../http/hosts.ts";
import type { Origins } from "../http/origins.ts";
import { openBody } from "../http/request-body.ts";
import { leftEarly, type StreamedBody } from "../http/streamed-body.ts";
import type { GatewayQuotas } from "../limits/quotas.ts";
import type { AccessCheck } from "./access.ts";
import { bodyInTransit, costOf } from "./body-in-transit.ts";
import type { CurrentVersions } from "./current-versions.ts";
import { routedTarget } from "./domain-routes.ts";
import { Exchange } from "./exchange.ts";
import type { Gate } from "./gate.ts";
import { requestHeaders } from "./headers.ts";
import type { CurrentVersion } from "./routing.ts";
import { type Whereabouts, whereaboutsOf } from "./site.ts";
import { type CallTrace, traceCall } from "./spans.ts";
import { type FunctionTarget, functionTarget } from "./target.ts";
import type { Calls } from "./waiting-calls.ts";
import { type EndedCall, WatchedCall } from "./watched-call.ts";

/**
 * How long after a function's own limit a reply may come: its worker notices the limit, and the
 * reply travels.
 */
const GRACE_MS = 5_000;
/** The field that a 401 needs (RFC 9110, section 11.6.1; RFC 6750, section 3). */
const ASKS: Readonly<Record<string, string>> = {
  UNAUTHENTICATED: "Bearer",
  TOKEN_MISSING: "Bearer",
  TOKEN_INVALID: 'Bearer error="invalid_token"',
};

export interface InvokeParts {
  gatewayId: string;
  redis: Redis;
  gate: Gate;
  cancellations: CancellationSender;
  calls: Calls;
  versions: CurrentVersions;
  stops: TenantStops;
  access: AccessCheck;
  quotas: GatewayQuotas;
  maxBodyBytes: number;
  queueWaitMs: number;
  uploads: Budget;
  desk: BodyDesk;
  downloads: Budget;
  /** Whether a trace may be recorded that no client began. */
  recordsRoots: boolean;
  origins: Origins;
  clients: Clients;
  /** Told once of each call. */
  onEnded: (call: EndedCall) => void;
  /** Told of failures that are Sandpiper's own. */
  onInternalError: (error: unknown, requestId: string) => void;
}

/**
 * Answers one request for a function. Never rejects.
 * @param target in origin form; on the own hosts of the gateway it begins with `/fn/`
 * @param isEvent whether the body is an event, of whom may send some
 */
export async function invoke(
  parts: InvokeParts,
  request: IncomingMessage,
  response: ServerResponse,
  host: KnownHost,
  target: string,
  isEvent = false,
): Promise<void> {
  const nowMs = Date.now();
  const id = newInvocationId(nowMs);
  const trace = traceCall(request.headers, nowMs, parts.recordsRoots);
  const found = functionTarget(host, target);
  const call = new WatchedCall(id, request, { target, named: found }, trace, parts.onEnded);
  let body: Buffer | StreamedBody | null = null;
  try {
    const { calls, gate } = parts;
    calls.check();
    gate.check();
    refuseUpgrade(request);
    const asked = found?.host.kind === "domain" ? await routed(parts.versions, found) : found;
    const known = asked && parts.versions.get(asked, request.headers);
    const current = known instanceof Promise ? await known : known;
    if (!asked || !current) throw functionNotFound(asked);
    const named = call.nameFunction(current.functionName) ?? asked;
    parts.stops.checkCall(named.tenant, named.functionName);
    // An event comes by the control API, which has looked at its key.
    const admission = isEvent ? null : parts.access.admit(request, asked, named, current);
    const { target: seen, caller } = (admission && (await admission)) ?? { target: named, caller: undefined };
    gate.check(named);
    parts.quotas.takeCall(named);
    const limits = { maxBytes: parts.maxBodyBytes, budget: parts.uploads };
    body = await openBody(request, response, limits, parts.desk.connections > 0);
    if (response.destroyed) throw leftEarly();
    const whereabouts = whereaboutsOf(parts, request, seen, current.keepsPrefix, caller);
    const invocation = newInvocation(parts, id, request, seen, current, whereabouts);
    if (isEvent) becomeEvent(invocation);
    call.describe(invocation, seen);
    const deadlineMs = invocation.expiresAtMs + current.timeoutMs + GRACE_MS;
    const exchange = new Exchange({
      id,
      deadlineMs,
      request,
      response,
      site: whereabouts.site,
      version: current.version,
      budget: parts.downloads,
      onLeft() {
        if (gate.forget(id)) return calls.forget(id);
        calls.leave(id);
        parts.cancellations.send({ id, overAtMs: deadlineMs });
      },
      onEnd(ending) {
        calls.remove(id);
        parts.desk.cancel(id);
        call.end(ending);
        if (current.tally !== null) current.tally.note(ending, invocation.request.remoteAddress);
      },
    });
    await submit(parts, call, exchange, invocation, body, current.mostAtOnce);
  } catch (error) {
    dropStream(body);
    const shown = publicError(error);
    if (shown.code === "INTERNAL") parts.onInternalError(error, id);
    sendError(request, response, shown, id, asking(shown.code));
    call.end({ status: shown.status, outcome: null, error: shown });
  }
}

/** The field that says what a refused call lacks, if that is a credential. */
function asking(code: string): [name: string, value: string] | [] {
  const ask = ASKS[code];
  return ask === undefined ? [] : ["www-authenticate", ask];
}

/** The target at a domain, where paths may be for other functions. */
async function routed(versions: CurrentVersions, target: FunctionTarget): Promise<FunctionTarget> {
  return routedTarget(await versions.routesOf(target.tenant), target);
}

/** Puts the call into the queue. A failure to do so is the call's answer. */
async function submit(
  parts: InvokeParts,
  call: CallTrace,
  exchange: Exchange,
  invocation: Invocation,
  body: Buffer | StreamedBody | null,
  mostAtOnce: number,
): Promise<void> {
  const { request } = invocation;
  try {
    parts.calls.add(invocation.id, exchange, { tenant: invocation.tenant, bodyBytes: costOf(body) });
    if (body) request.body = await bodyInTransit(parts, invocation, body, exchange);
    if (!exchange.hasEnded) return await call.enqueue(invocation, () => parts.gate.submit(invocation, mostAtOnce));
    parts.calls.forget(invocation.id);
    dropStream(body);
    await dropBody(parts.redis, request.body);
  } catch (error) {
    const shown = publicError(error);
    exchange.fail(shown);
    dropStream(body);
    // Redis may have the call all the same.
    if (shown.code === "QUEUE_UNAVAILABLE") {
      parts.cancellations.send({ id: invocation.id, overAtMs: exchange.deadlineMs, unlessBegun: true });
    }
    await dropBody(parts.redis, request.body);
  }
}

/** Nobody will have it. */
function dropStream(body: Buffer | StreamedBody | null): void {
  if (body !== null && !Buffer.isBuffer(body)) body.drop();
}

function newInvocation(
  parts: InvokeParts,
  id: string,
  request: IncomingMessage,
  { tenant, functionName, path }: FunctionTarget,
  { version }: CurrentVersion,
  { url, forwarded }: Whereabouts,
): Invocation {
  const nowMs = Date.now();
  if (url.length > REQUEST_LIMITS.urlLength) throw new SandpiperError("URL_TOO_LONG");
  return {
    id,
    tenant,
    functionName,
    version,
    replyTo: parts.gatewayId,
    request: {
      method: request.method ?? "GET",
      url,
      path,
      headers: requestHeaders(request.rawHeaders, forwarded),
      remoteAddress: forwarded.address,
      body: null,
    },
    enqueuedAtMs: nowMs,
    expiresAtMs: nowMs + parts.queueWaitMs,
  };
}

/** Leaves nothing of the request but its body: its header fields have the sender's key in them. */
function becomeEvent(invocation: Invocation): void {
  invocation.isEvent = true;
  invocation.request.headers = [];
}

/**
 * Other protocols than WebSocket may be ignored (RFC 9110, section 7.8), and clients go on with
 * HTTP/1.1.
 */
function refuseUpgrade(request: IncomingMessage): void {
  if (/\bwebsocket\b/i.test(request.headers.upgrade ?? "")) throw new SandpiperError("UPGRADE_NOT_SUPPORTED");
}

function functionNotFound(named: FunctionTarget | null): SandpiperError {
  if (!named)
    return new SandpiperError("FUNCTION_NOT_FOUND", {
      message: "This is no function's URL: /fn/<tenant>/<function>/.",
    });
  // Visitors of a domain need not know who is behind it.
  if (named.host.kind === "domain") {
    const message = `No function is deployed that answers at ${named.host.name}.`;
    return new SandpiperError("FUNCTION_NOT_FOUND", { message });
  }
  return new SandpiperError("FUNCTION_NOT_FOUND", {
    message: `The tenant ${named.tenant} has no function ${named.functionName}.`,
  });
}
