/** Moves of aliases: deployments, rollbacks, promotions, and what an alias is set to. */
import type { Redis } from "ioredis";
import { type Alias, type AliasTarget, baseOf, type HistoryEntry, LIVE, wholly } from "../../functions/model/alias.ts";
import { SandpiperError } from "../../functions/model/errors.ts";
import { type Move, type Moved, moveAlias, readAliases, readHistory } from "../../functions/store/aliases.ts";
import { type FunctionRef, versionsKey } from "../../functions/store/function-keys.ts";
import { findVersion } from "../../functions/store/versions.ts";
import type { ControlParts } from "./context.ts";

/** Attempts of a move whose target depends on where the alias is, and that others move too. */
const MOST_ATTEMPTS = 100;

/** A target, or how it comes of the aliases that there are. */
export type Aim = AliasTarget | ((aliases: readonly Alias[]) => AliasTarget | Promise<AliasTarget>);

/**
 * Moves an alias, and has this gateway know of it. A target that depends on the aliases is found
 * again when another move came between, unless the caller said which revision is to be there.
 * @throws SandpiperError as `moveAlias` does
 */
export async function moveTo(
  { redis, versions }: ControlParts,
  ref: FunctionRef,
  move: Omit<Move, "target">,
  aim: Aim,
): Promise<Moved & { target: AliasTarget }> {
  for (let attempt = 1; ; attempt++) {
    const { target, seen } = await aimed(redis, ref, move.alias, aim);
    try {
      const moved = await moveAlias(redis, ref, { ...move, target, expected: move.expected ?? seen });
      versions.forget(`${ref.tenant}/${ref.functionName}`);
      return { ...moved, target };
    } catch (error) {
      const isRace = error instanceof SandpiperError && error.code === "PRECONDITION_FAILED";
      if (!isRace || move.expected !== undefined || attempt === MOST_ATTEMPTS) throw error;
    }
  }
}

/** The target, and the revision of the alias that it was found by, if it depends on that. */
async function aimed(
  redis: Redis,
  ref: FunctionRef,
  alias: string,
  aim: Aim,
): Promise<{ target: AliasTarget; seen?: string }> {
  if (typeof aim !== "function") return { target: aim };
  const aliases = (await readAliases(redis, ref)) ?? [];
  const seen = aliases.find((one) => one.alias === alias)?.revision ?? "none";
  return { target: await aim(aliases), seen };
}

/** The target of `live` when a version gets a share beside what is live; all when nothing is. */
export function canaryTarget(
  [live]: readonly Alias[],
  version: string,
  canary: ({ percent: number } & Pick<AliasTarget, "sticky" | "auto">) | undefined,
): AliasTarget {
  if (live === undefined || canary === undefined || baseOf(live) === version) return wholly(version);
  const base = { version: baseOf(live), percent: 100 - canary.percent };
  return { routes: [base, { version, percent: canary.percent }], sticky: canary.sticky, auto: canary.auto };
}

/**
 * The target of a rollback: the version that is named, else the first of two that are live, else
 * the one that was live before.
 * @throws SandpiperError VERSION_NOT_FOUND, VERSION_AMBIGUOUS, NO_EARLIER_VERSION
 */
export async function rollbackTarget(
  { redis }: ControlParts,
  ref: FunctionRef,
  [live]: readonly Alias[],
  named: string | undefined,
): Promise<AliasTarget> {
  if (named !== undefined) return wholly(await findVersion(redis, ref, named));
  if (live === undefined) throw noSuch(ref);
  if (live.routes.length > 1) return wholly(baseOf(live));
  const earlier = earlierVersions(await readHistory(redis, ref), baseOf(live));
  const areKept = earlier.length > 0 ? await redis.hmget(versionsKey(ref), ...earlier) : [];
  const version = earlier.find((_, index) => areKept[index] !== null);
  if (version === undefined) {
    const message = `No other version of ${ref.functionName} was live before that is still kept.`;
    throw new SandpiperError("NO_EARLIER_VERSION", { message });
  }
  return wholly(version);
}

/** The versions that were live before, the latest first. */
function earlierVersions(history: readonly HistoryEntry[], current: string): string[] {
  const bases = history.flatMap(({ alias, before }) => (alias === LIVE && before !== null ? [baseOf(before)] : []));
  return [...new Set(bases)].filter((version) => version !== current);
}

/**
 * The target of a promotion: the one version of an alias or the version that is named, else the
 * canary.
 * @throws SandpiperError VERSION_NOT_FOUND, VERSION_AMBIGUOUS, INVALID_ALIAS
 */
export async function promotionTarget(
  { redis }: ControlParts,
  ref: FunctionRef,
  aliases: readonly Alias[],
  from: string | undefined,
): Promise<AliasTarget> {
  const live = aliases[0];
  if (live === undefined) throw noSuch(ref);
  if (from === undefined || from === LIVE) {
    const canary = live.routes[1];
    if (canary !== undefined) return wholly(canary.version);
    throw new SandpiperError("INVALID_ALIAS", { message: `${ref.functionName} has one version live, and no canary.` });
  }
  const alias = aliases.find((one) => one.alias === from);
  if (alias === undefined) return wholly(await findVersion(redis, ref, from));
  if (alias.routes.length === 1) return wholly(baseOf(alias));
  const message = `The alias ${from} of ${ref.functionName} names two versions: say which one is to be live.`;
  throw new SandpiperError("INVALID_ALIAS", { message });
}

/** Says that there is no such function. */
function noSuch({ functionName }: FunctionRef): SandpiperError {
  return new SandpiperError("FUNCTION_NOT_FOUND", { message: `There is no function ${functionName}.` });
}
