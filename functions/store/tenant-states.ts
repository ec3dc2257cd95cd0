/**
 * The tenants, and which of them are suspended or deleted. A tenant that is not active
 * has a field in a hash of its own, so that gateways need to know few of many tenants.
 */
import type { Redis } from "ioredis";
import { SandpiperError } from "../model/errors.ts";
import type { TenantState, TenantStop } from "../model/tenants.ts";
import { checkTenantName, TENANTS } from "./tenant.ts";

/** The hash of tenants that are not active: a field for each. */
export const STOPS = "sp:tenantstops";
/** Where it is said that a tenant's state changed; the message is the tenant. */
export const STOP_CHANGES = "sp:tenants:changes";

/**
 * How long the name of a deleted tenant is not free. Calls that were under way may write records
 * until they end, which takes as long as they may wait and run; whoever gets the name later must
 * not find them.
 */
export const NAME_KEPT_MS = 20 * 60_000;

/** A tenant as it is now. */
export interface TenantInfo {
  tenant: string;
  state: TenantState;
  /** Since when it is not active, as Unix time in milliseconds; null when it is. */
  sinceMs: number | null;
  createdAtMs: number;
}

const NOW_MS = `
local time = redis.call("TIME")
local nowMs = time[1] * 1000 + math.floor(time[2] / 1000)`;

/**
 * KEYS: tenants, stops. ARGV: tenant, record. Gives the stop that is against it, else whether it is
 * new.
 */
const CREATE = `
local stop = redis.call("HGET", KEYS[2], ARGV[1])
if stop then return stop end
return redis.call("HSETNX", KEYS[1], ARGV[1], ARGV[2])`;

/**
 * KEYS: tenants, stops. ARGV: tenant, new state or nothing, channel, states that may be left. Gives
 * -1 when there is no such tenant, else the state that it had.
 */
const MOVE = `${NOW_MS}
local stop = redis.call("HGET", KEYS[2], ARGV[1])
if not stop and redis.call("HEXISTS", KEYS[1], ARGV[1]) == 0 then return -1 end
local before = stop and cjson.decode(stop).state or "active"
if before == ARGV[2] or not string.find(ARGV[4], before, 1, true) then return before end
if ARGV[2] == "active" then redis.call("HDEL", KEYS[2], ARGV[1])
else redis.call("HSET", KEYS[2], ARGV[1], cjson.encode({ state = ARGV[2], sinceMs = nowMs })) end
redis.call("PUBLISH", ARGV[3], ARGV[1])
return before`;

/** KEYS: stops. ARGV: tenant, channel, ms. Frees the name of a tenant that was deleted long ago. */
const FREE = `${NOW_MS}
local stop = redis.call("HGET", KEYS[1], ARGV[1])
if not stop then return 0 end
local decoded = cjson.decode(stop)
if decoded.state ~= "deleted" or decoded.sinceMs > nowMs - tonumber(ARGV[3]) then return 0 end
redis.call("HDEL", KEYS[1], ARGV[1])
redis.call("PUBLISH", ARGV[2], ARGV[1])
return 1`;

/**
 * Makes a tenant that is not there yet.
 * @throws SandpiperError INVALID_NAME; TENANT_EXISTS, also for a name that is not free yet
 */
export async function addTenant(redis: Redis, tenant: string): Promise<TenantInfo> {
  checkTenantName(tenant);
  const createdAtMs = Date.now();
  const answer = await redis.eval(CREATE, 2, TENANTS, STOPS, tenant, JSON.stringify({ createdAtMs }));
  if (answer === 1) return { tenant, state: "active", sinceMs: null, createdAtMs };
  if (answer === 0) throw new SandpiperError("TENANT_EXISTS", { message: `There is a tenant ${tenant} already.` });
  const { state, sinceMs } = JSON.parse(String(answer)) as TenantStop;
  const freeAt = new Date(sinceMs + NAME_KEPT_MS).toISOString();
  const until = state === "deleted" ? `, and its name is free from ${freeAt} on, when none of its calls can run` : "";
  throw new SandpiperError("TENANT_EXISTS", { message: `The tenant ${tenant} is ${state}${until}.` });
}

/** All tenants, by name; those whose deletion is over are none. */
export async function listTenants(redis: Redis): Promise<TenantInfo[]> {
  const [tenants, stops] = await Promise.all([redis.hgetall(TENANTS), redis.hgetall(STOPS)]);
  return Object.keys(tenants)
    .sort()
    .map((tenant) => infoOf(tenant, tenants[tenant] ?? null, stops[tenant] ?? null));
}

/** A tenant; null when there is none of that name, or its deletion is over. */
export async function findTenant(redis: Redis, tenant: string): Promise<TenantInfo | null> {
  const [stored, stop] = await Promise.all([redis.hget(TENANTS, tenant), redis.hget(STOPS, tenant)]);
  return stored === null ? null : infoOf(tenant, stored, stop);
}

/**
 * Moves a tenant to another state, of which gateways are told. One that has that state keeps it.
 * @throws SandpiperError TENANT_NOT_FOUND, also for what would lead out of a deletion
 */
export async function moveTenant(redis: Redis, tenant: string, state: TenantState): Promise<void> {
  const from = { active: "suspended", suspended: "active", deleting: "active suspended", deleted: "deleting" }[state];
  const before = await redis.eval(MOVE, 2, TENANTS, STOPS, tenant, state, STOP_CHANGES, from);
  const isOver = before === "deleted" ? state !== "deleted" : before === "deleting" && !state.startsWith("delet");
  if (before === -1 || isOver) throw noTenant(tenant);
}

/** The tenants that are not active. */
export async function readStops(redis: Redis): Promise<Map<string, TenantStop>> {
  const stored = await redis.hgetall(STOPS);
  return new Map(Object.entries(stored).map(([tenant, text]) => [tenant, JSON.parse(text) as TenantStop]));
}

/** Whether, and how, a tenant is stopped at this moment. */
export async function stopOf(redis: Redis, tenant: string): Promise<TenantStop | null> {
  const text = await redis.hget(STOPS, tenant);
  return text === null ? null : (JSON.parse(text) as TenantStop);
}

/** Frees the name of a tenant that was deleted long ago. @returns whether it is free now */
export async function freeName(redis: Redis, tenant: string): Promise<boolean> {
  return (await redis.eval(FREE, 1, STOPS, tenant, STOP_CHANGES, NAME_KEPT_MS)) === 1;
}

/** Says that there is no such tenant, or none that the key may see. */
export function noTenant(tenant: string): SandpiperError {
  return new SandpiperError("TENANT_NOT_FOUND", { message: `There is no tenant ${tenant}.` });
}

function infoOf(tenant: string, stored: string | null, stop: string | null): TenantInfo {
  const { createdAtMs } = JSON.parse(stored ?? "{}") as { createdAtMs: number };
  const { state, sinceMs } =
    stop === null ? { state: "active" as const, sinceMs: null } : (JSON.parse(stop) as TenantStop);
  return { tenant, state, sinceMs, createdAtMs };
}
