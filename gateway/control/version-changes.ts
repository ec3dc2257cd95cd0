/** The changes of a deployment: one version beside the one that was live. */
import type { FunctionConfig } from "../../functions/model/manifest.ts";
import { envNamesOf, type Version } from "../../functions/model/version.ts";
import { type AddedAndRemoved, addedAndRemoved } from "./added-and-removed.ts";

export interface VersionChanges {
  /** Digest of the version that was live. */
  since: string;
  /** How many source files. */
  files: { added: number; changed: number; removed: number };
  /** Fields of the configuration, without `env` and `egress`, which are told by themselves. */
  config: string[];
  /** Names of variables; whether one has another value, where that is all that changed. */
  env: AddedAndRemoved & { changed: boolean };
  /** Names of packages. */
  packages: AddedAndRemoved;
  /** Modules of the runtime. */
  builtins: AddedAndRemoved;
}

const TOLD_BY_THEMSELVES = new Set(["env", "egress"]);

/** null where there was no version before, or the same one. */
export function versionChanges(before: Version | null, after: Version): VersionChanges | null {
  if (before === null || before.version === after.version) return null;
  const files = fileChanges(before, after);
  const config = configChanges(before.config, after.config);
  const env = difference(envNamesOf(before), envNamesOf(after));
  const isFile = files.added + files.changed + files.removed > 0;
  const isTold = config.length > 0 || env.added.length > 0 || env.removed.length > 0 || isFile;
  return {
    since: before.version,
    files,
    config,
    // Values are sealed, so that their change is known by there being no other.
    env: { ...env, changed: !isTold && !isOtherEgress(before, after) && envNamesOf(after).length > 0 },
    // Of an older version it is not known, and all would seem new.
    packages: before.contents ? difference(packagesOf(before), packagesOf(after)) : NOTHING,
    builtins: before.contents ? difference(before.contents.builtins, after.contents?.builtins ?? []) : NOTHING,
  };
}

const NOTHING: AddedAndRemoved = { added: [], removed: [] };

function fileChanges(before: Version, after: Version): VersionChanges["files"] {
  const had = new Map(before.files.map(({ path, sha256 }) => [path, sha256]));
  const has = new Map(after.files.map(({ path, sha256 }) => [path, sha256]));
  const both = [...has].filter(([path]) => had.has(path));
  return {
    added: has.size - both.length,
    changed: both.filter(([path, sha256]) => had.get(path) !== sha256).length,
    removed: had.size - both.length,
  };
}

function configChanges(before: FunctionConfig, after: FunctionConfig): string[] {
  const fields = new Set([...Object.keys(before), ...Object.keys(after)]) as Set<keyof FunctionConfig>;
  const isOther = (field: keyof FunctionConfig) => JSON.stringify(before[field]) !== JSON.stringify(after[field]);
  return [...fields].filter((field) => !TOLD_BY_THEMSELVES.has(field) && isOther(field)).sort();
}

function isOtherEgress({ config: before }: Version, { config: after }: Version): boolean {
  return JSON.stringify(before.egress ?? []) !== JSON.stringify(after.egress ?? []);
}

function packagesOf({ contents }: Version): string[] {
  return contents?.packages.flatMap(({ name }) => name ?? []) ?? [];
}

function difference(before: readonly string[], after: readonly string[]): AddedAndRemoved {
  return addedAndRemoved(before.toSorted(), after.toSorted());
}
