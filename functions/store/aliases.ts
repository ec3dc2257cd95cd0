/**
 * Aliases in Redis: each is a field of its function's hash, and one script moves it, notes which
 * versions nothing names any more, writes the function's history and tells the gateways.
 */
import type { Redis } from "ioredis";
import {
  type Alias,
  type AliasTarget,
  baseOf,
  type HistoryEntry,
  LIVE,
  MAX_ALIASES,
  MAX_HISTORY,
  type MoveKind,
  wholly,
} from "../model/alias.ts";
import type { WatchFigures } from "../model/canary.ts";
import { SandpiperError } from "../model/errors.ts";
import { CANARIES, FOLLOW_CANARY, newCellKey } from "./canaries.ts";
import {
  type FunctionRef,
  functionKey,
  functionsKey,
  historyKey,
  REGISTRY_CHANGES,
  versionsKey,
} from "./function-keys.ts";
import { AGE_VERSIONS, REFUSAL_OF_HOLD, throwRefusal } from "./holds.ts";
import { NOTE_PROVISION, PROVISIONS } from "./provisions/provisions.ts";

/** Counts all moves of all aliases, so that no revision comes again after a deletion. */
const REVISIONS = "sp:registry:revisions";
const FIELD = "alias:";
const REVISION_FIELD = "revision:";
/** Revision of a function's version from before there were aliases. */
const FIRST_REVISION = "0";

/** Lua: the time of Redis's clock, noted as since when a version is not run. */
export const NOTE_UNUSED = `
local function noteUnused(versions, version)
  local time = redis.call("TIME")
  local nowMs = string.format("%.0f", time[1] * 1000 + math.floor(time[2] / 1000))
  redis.call("HSET", versions, version .. ":unusedSinceMs", nowMs)
  return nowMs
end`;

/** Lua: the versions that an alias of the function names, as keys. */
export const NAMED_VERSIONS = `
local function namedVersions(key)
  local named = {}
  local fields = redis.call("HGETALL", key)
  for index = 1, #fields, 2 do
    if fields[index] == "version" then named[fields[index + 1]] = true end
    if string.sub(fields[index], 1, 6) == "${FIELD}" then
      for _, route in ipairs(cjson.decode(fields[index + 1]).routes) do named[route.version] = true end
    end
  end
  return named
end`;

/**
 * KEYS: functions, function, versions, history, revisions, canaries, provisions. ARGV: name,
 * changes channel, message, now, holder, alias, expected revision, target or nothing, history entry
 * without its end, key of cells, versions of the target. Gives a code and the alias's revision.
 */
const MOVE = `${FOLLOW_CANARY}${NOTE_PROVISION}${NOTE_UNUSED}${NAMED_VERSIONS}${REFUSAL_OF_HOLD}${AGE_VERSIONS}
local refusal = refusalOfHold(KEYS[2], ARGV[5])
if refusal ~= 0 then return { refusal, "" } end
local field = "${FIELD}" .. ARGV[6]
local current = redis.call("HGET", KEYS[2], "version")
local before = redis.call("HGET", KEYS[2], field)
local revision = redis.call("HGET", KEYS[2], "${REVISION_FIELD}" .. ARGV[6])
if ARGV[6] == "${LIVE}" and current and not (before and cjson.decode(before).routes[1].version == current) then
  before = '{"routes":[{"version":"' .. current .. '","percent":100}],"sticky":null}'
  revision = revision or "${FIRST_REVISION}"
end
if not before then revision = "none" end
if ARGV[7] == "*" and revision == "none" then return { -4, revision } end
if ARGV[7] ~= "" and ARGV[7] ~= "*" and ARGV[7] ~= revision then return { -4, revision } end
if ARGV[6] ~= "${LIVE}" and not current then return { -6, "" } end
if ARGV[8] == "" and not before then return { -5, "" } end
for index = 11, #ARGV do
  if redis.call("HEXISTS", KEYS[3], ARGV[index]) == 0 then return { -1, ARGV[index] } end
end
if not before and ARGV[6] ~= "${LIVE}" then
  local count = 0
  for _, key in ipairs(redis.call("HKEYS", KEYS[2])) do
    if string.sub(key, 1, 6) == "${FIELD}" then count = count + 1 end
  end
  if count >= ${MAX_ALIASES} then return { -7, "" } end
end
revision = tostring(redis.call("INCR", KEYS[5]))
if ARGV[8] == "" then
  redis.call("HDEL", KEYS[2], field, "${REVISION_FIELD}" .. ARGV[6])
else
  redis.call("HSET", KEYS[2], field, ARGV[8], "${REVISION_FIELD}" .. ARGV[6], revision)
end
followCanary(KEYS[2], KEYS[6], ARGV[3], ARGV[6], ARGV[8], revision, ARGV[10])
local created = 0
if ARGV[6] == "${LIVE}" then
  created = redis.call("HSETNX", KEYS[2], "createdAtMs", ARGV[4])
  redis.call("HSET", KEYS[2], "version", ARGV[11], "updatedAtMs", ARGV[4])
  redis.call("SADD", KEYS[1], ARGV[1])
  noteProvision(KEYS[7], KEYS[3], ARGV[3], ARGV[5] == "" and ARGV[8] or "")
end
local named = namedVersions(KEYS[2])
for _, route in ipairs(before and cjson.decode(before).routes or {}) do
  if not named[route.version] and redis.call("HEXISTS", KEYS[3], route.version) == 1 then
    noteUnused(KEYS[3], route.version)
  end
end
for index = 11, #ARGV do redis.call("HDEL", KEYS[3], ARGV[index] .. ":unusedSinceMs") end
if ARGV[5] == "" then
  redis.call("LPUSH", KEYS[4], ARGV[9] .. ',"before":' .. (before or "null") .. "}")
  redis.call("LTRIM", KEYS[4], 0, ${MAX_HISTORY - 1})
end
redis.call("PUBLISH", ARGV[2], ARGV[3])
ageVersions(KEYS[2], KEYS[3])
return { created, revision }`;

/** One move of an alias. */
export interface Move {
  alias: string;
  /** null: the alias is removed. */
  target: AliasTarget | null;
  kind: MoveKind;
  /** Id of the key whose holder moves it. */
  by: string;
  message?: string | null | undefined;
  tag?: string | null | undefined;
  /** The figures that decided, when the platform moves it. */
  figures?: WatchFigures;
  /**
   * The revision that the alias must have; `*`: any, `none`: there must be no such alias; nothing:
   * whatever is there is moved.
   */
  expected?: string | undefined;
  /** The holder of the function's name, when somebody holds it. */
  holder?: string | undefined;
}

export interface Moved {
  /** Whether the function is new. */
  created: boolean;
  revision: string;
}

/**
 * Moves an alias at once, and makes the function with its alias `live` when it is new. Gateways are
 * told.
 * @throws SandpiperError NAME_HELD, PRECONDITION_FAILED, FUNCTION_NOT_FOUND, ALIAS_NOT_FOUND,
 * TOO_MANY_ALIASES, VERSION_NOT_FOUND
 */
export async function moveAlias(redis: Redis, ref: FunctionRef, move: Move): Promise<Moved> {
  const { alias, target, kind, by, message = null, tag = null, figures, expected = "", holder = "" } = move;
  const entry = JSON.stringify({ atMs: Date.now(), by, kind, alias, message, tag, figures, after: target });
  const answer = await redis.eval(
    MOVE,
    7,
    functionsKey(ref.tenant),
    functionKey(ref),
    versionsKey(ref),
    historyKey(ref),
    REVISIONS,
    CANARIES,
    PROVISIONS,
    ref.functionName,
    REGISTRY_CHANGES,
    `${ref.tenant}/${ref.functionName}`,
    Date.now(),
    holder,
    alias,
    expected,
    target === null ? "" : JSON.stringify(target),
    entry.slice(0, -1),
    newCellKey(),
    ...(target?.routes ?? []).map(({ version }) => version),
  );
  const [code, detail] = answer as [number, string];
  throwRefusal(code, ref);
  throwFailure(code, detail, ref, alias);
  return { created: code === 1, revision: detail };
}

/**
 * Refuses a move that would be refused now, before work is done for it. `moveAlias` decides.
 * @throws SandpiperError NAME_HELD, PRECONDITION_FAILED
 */
export async function checkMovable(
  redis: Redis,
  ref: FunctionRef,
  { alias, expected = "", holder = "" }: Pick<Move, "alias" | "expected" | "holder">,
): Promise<void> {
  const stored = await redis.hgetall(functionKey(ref));
  if ((stored.holder ?? "") !== holder) throwRefusal(holder === "" ? -2 : -3, ref);
  const revision = aliasesOf(stored).find((one) => one.alias === alias)?.revision ?? "none";
  const isExpected = expected === "*" ? revision !== "none" : expected === "" || expected === revision;
  if (!isExpected) throwFailure(-4, revision, ref, alias);
}

function throwFailure(code: number, detail: string, { functionName }: FunctionRef, alias: string): void {
  if (code === -1) throw noVersion(functionName, detail);
  if (code === -4) throw new SandpiperError("PRECONDITION_FAILED", { message: changed(functionName, alias, detail) });
  if (code === -5) throw noAlias(functionName, alias);
  if (code === -6) {
    throw new SandpiperError("FUNCTION_NOT_FOUND", { message: `There is no function ${functionName}.` });
  }
  if (code === -7) throw new SandpiperError("TOO_MANY_ALIASES");
}

function changed(functionName: string, alias: string, revision: string): string {
  if (revision === "none") return `${functionName} has no alias ${alias} (any more).`;
  return `The alias ${alias} of ${functionName} was moved meanwhile: its etag is "${revision}" now.`;
}

/** Says that the function has no such alias. */
export function noAlias(functionName: string, alias: string): SandpiperError {
  return new SandpiperError("ALIAS_NOT_FOUND", { message: `${functionName} has no alias ${alias}.` });
}

/** Says that the function has no such version. */
export function noVersion(functionName: string, name: string): SandpiperError {
  return new SandpiperError("VERSION_NOT_FOUND", { message: `${functionName} has no version ${name}.` });
}

/** The aliases in a function's hash, `live` first, the others by name. */
export function aliasesOf(stored: Readonly<Record<string, string>>): Alias[] {
  if (stored.version === undefined) return [];
  const found = new Map<string, Alias>();
  for (const [field, text] of Object.entries(stored)) {
    if (!field.startsWith(FIELD)) continue;
    const alias = field.slice(FIELD.length);
    found.set(alias, { alias, ...(JSON.parse(text) as AliasTarget), revision: revisionOf(stored, alias) });
  }
  const live = found.get(LIVE);
  found.delete(LIVE);
  // A gateway from before there were aliases knows the version alone.
  const isMoved = live === undefined || baseOf(live) !== stored.version;
  const current = isMoved ? { alias: LIVE, ...wholly(stored.version), revision: revisionOf(stored, LIVE) } : live;
  return [current, ...[...found.values()].sort((one, other) => (one.alias < other.alias ? -1 : 1))];
}

function revisionOf(stored: Readonly<Record<string, string>>, alias: string): string {
  return stored[REVISION_FIELD + alias] ?? FIRST_REVISION;
}

/** A function's aliases, `live` first; null when there is no such function. */
export async function readAliases(redis: Redis, ref: FunctionRef): Promise<Alias[] | null> {
  const aliases = aliasesOf(await redis.hgetall(functionKey(ref)));
  return aliases.length === 0 ? null : aliases;
}

/** The acts on a function, latest first; at most 200 are kept. */
export async function readHistory(redis: Redis, ref: FunctionRef): Promise<HistoryEntry[]> {
  const texts = await redis.lrange(historyKey(ref), 0, MAX_HISTORY - 1);
  return texts.map((text) => JSON.parse(text) as HistoryEntry);
}
