/**
 * The version that a call gets: the one that an alias names, or one of two by their shares. A call
 * keeps it from its admission on, whatever is moved while it waits.
 */
import { hash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { type Alias, isVersionDigits, LIVE, type Sticky, splitPreviewName } from "../../functions/model/alias.ts";
import type { FunctionConfig } from "../../functions/model/manifest.ts";
import type { Version } from "../../functions/model/version.ts";
import type { FunctionRef, FunctionState, Registry } from "../../functions/store/registry.ts";
import type { Tally, WatchTallies } from "./watch-tallies.ts";

/** Facts that a gateway needs of the version that a call gets. */
export interface CurrentVersion {
  /** The function's own name, also when a preview of it is called. */
  functionName: string;
  version: string;
  timeoutMs: number;
  /** Whether requests below /fn/ keep that prefix in their URL. */
  keepsPrefix: boolean;
  /** The access to it. */
  access: NonNullable<FunctionConfig["access"]>;
  /** How many calls of the function may be at workers at once; 0: any number. */
  mostAtOnce: number;
  /** Counts its calls while a canary is watched; null: nobody watches. */
  tally: Tally | null;
}

/** The target of an alias, read whole. */
export interface Routing {
  base: CurrentVersion;
  canary: Canary | null;
}

interface Canary {
  current: CurrentVersion;
  percent: number;
  sticky: Sticky | null;
}

/** The version for a call with these header fields. */
export function chosen({ base, canary }: Routing, headers: IncomingHttpHeaders): CurrentVersion {
  if (canary === null) return base;
  const value = canary.sticky === null ? undefined : stickyValue(canary.sticky, headers);
  const place = value === undefined ? Math.random() * 100 : placeOf(base.functionName, value);
  return place < canary.percent ? canary.current : base;
}

/**
 * A caller's place from 0 to 99: the same on each gateway, and below a growing share once it was
 * below a smaller one.
 */
function placeOf(functionName: string, value: string): number {
  return Number.parseInt(hash("sha256", `${functionName}\n${value}`).slice(0, 8), 16) % 100;
}

function stickyValue(sticky: Sticky, headers: IncomingHttpHeaders): string | undefined {
  if ("header" in sticky) {
    const value = headers[sticky.header.toLowerCase()];
    return Array.isArray(value) ? value.join(", ") : value;
  }
  for (const pair of (headers.cookie ?? "").split(";")) {
    const at = pair.indexOf("=");
    if (at > 0 && pair.slice(0, at).trim() === sticky.cookie) return pair.slice(at + 1).trim();
  }
  return undefined;
}

/** Where a function's URL leads; null when there is no such function. */
export async function readRouting(
  registry: Registry,
  tallies: WatchTallies,
  ref: FunctionRef,
): Promise<Routing | null> {
  const state = await registry.getFunction(ref);
  const live = state?.aliases[0];
  return state && live ? readAlias(registry, tallies, state, live) : null;
}

/**
 * Where a preview leads, and the function, as "tenant/function", whose changes may move it.
 */
export async function readPreview(
  registry: Registry,
  tallies: WatchTallies,
  { tenant, functionName: whole }: FunctionRef,
): Promise<{ current: Routing | null; of: string }> {
  const parts = splitPreviewName(whole);
  if (parts === null) return { current: null, of: "" };
  const ref = { tenant, functionName: parts.functionName };
  const of = `${tenant}/${parts.functionName}`;
  const state = await registry.getFunction(ref);
  if (state === null) return { current: null, of };
  const alias = state.aliases.find((one) => one.alias === parts.name);
  if (alias !== undefined) return { current: await readAlias(registry, tallies, state, alias), of };
  // A short alias that is gone could be the beginning of a version.
  const version = isVersionDigits(parts.name) ? await registry.versionBeginningWith(ref, parts.name) : null;
  return { current: version && { base: currentOf(version, null), canary: null }, of };
}

async function readAlias(
  registry: Registry,
  tallies: WatchTallies,
  state: FunctionState,
  { alias, routes, sticky, auto, revision }: Alias,
): Promise<Routing | null> {
  const read = async (digest: string) =>
    alias === LIVE && digest === state.version.version
      ? state.version
      : registry.getVersion({ ...state.version, version: digest });
  const [base, second] = await Promise.all(routes.map(({ version }) => read(version)));
  if (!base) return null;
  const percent = routes[1]?.percent ?? 0;
  const { tenant, functionName } = state;
  const cellKey = auto && second ? state.cellKeyOf(alias) : null;
  const watched = cellKey === null ? null : tallies.of({ tenant, functionName, alias }, { revision, cellKey });
  const canary = second ? { current: currentOf(second, watched?.canary ?? null), percent, sticky } : null;
  return { base: currentOf(base, watched?.base ?? null), canary };
}

function currentOf({ functionName, version, config }: Version, tally: Tally | null): CurrentVersion {
  const { timeoutMs, keepPrefix = false, access = "public", concurrency } = config;
  const mostAtOnce = concurrency?.max ?? 0;
  return { functionName, version, timeoutMs, keepsPrefix: keepPrefix, access, mostAtOnce, tally };
}
