/**
 * Deployment: uploaded files become a version, the version gets its bundle, a worker loads it to
 * see that it can, and the function moves to it.
 */
import type { CheckedDeployment } from "../../functions/api/schemas.ts";
import { type Alias, LIVE, wholly } from "../../functions/model/alias.ts";
import { DEFAULT_NODE_ENV } from "../../functions/model/bundling.ts";
import { SandpiperError } from "../../functions/model/errors.ts";
import { checkIncluded, includedFiles } from "../../functions/model/included.ts";
import type { VersionRef } from "../../functions/model/invocation.ts";
import type { FunctionConfig } from "../../functions/model/manifest.ts";
import { checkPaths, entryProblem, MAX_SOURCE_BYTES, packSources } from "../../functions/model/sources.ts";
import { type FoundHandler, type FunctionPlace, type Version, versionDigest } from "../../functions/model/version.ts";
import { checkMovable } from "../../functions/store/aliases.ts";
import { countDeploy } from "../../functions/store/quotas.ts";
import { noteDeployment } from "../../functions/store/versions.ts";
import { MIB } from "../../infra/std/bytes.ts";
import type { AddedAndRemoved } from "./added-and-removed.ts";
import type { ControlParts } from "./context.ts";
import { checkEgress, egressChange, withCanonicalEgress } from "./egress.ts";
import { canaryTarget, moveTo } from "./moves.ts";
import { checkProvision } from "./provisions.ts";
import { checkStorage, takeVersion } from "./room.ts";
import { type NamedFile, namedFiles, readSources } from "./sources.ts";
import { type VersionChanges, versionChanges } from "./version-changes.ts";

/** A tree of the largest size as base64, and room for paths and configuration. */
export const MAX_DEPLOY_BYTES = Math.ceil((MAX_SOURCE_BYTES * 4) / 3) + 4 * MIB;

/** Longest warning of a bundler that is kept with its version. */
const MAX_WARNING_LENGTH = 2_000;
/** Builds of a deployment whose bundle was collected before its version was kept. */
const MOST_BUILDS = 2;
/** A version's text counts so often, as Redis has it in memory, of which there is less. */
const TEXT_WEIGHT = 32;

export interface Deployed {
  version: Version;
  /** The share of calls that it gets. */
  percent: number;
  egress: AddedAndRemoved;
  changes: VersionChanges | null;
  /** Whether the function is new. */
  created: boolean;
}

/** A version in the registry. */
interface Kept {
  version: Version;
  /** Since when nothing needs it, if this deployment built it; null when it was there before. */
  unusedSinceMs: number | null;
}

/** The sources of a version, and where they lie in the registry's terms. */
interface Sources extends FunctionPlace {
  tenant: string;
  config: FunctionConfig;
  entry: string;
  files: NamedFile[];
}

/** Facts of a deployment beside what was uploaded. */
export interface DeployFacts {
  /** Id of the key whose holder deploys. */
  by: string;
  /** The holder of the function's name, when somebody holds it. */
  holder?: string | undefined;
  /** The revision that `live` must have; see store/aliases.ts. */
  expected?: string | undefined;
}

/**
 * Makes a function run what was uploaded. When that fails it runs what it ran before.
 * @throws SandpiperError NAME_HELD, INVALID_CONFIG, EGRESS_NOT_GRANTED, INVALID_SOURCE,
 * SOURCE_MISSING, BUILD_FAILED, BUILD_UNAVAILABLE, CHECK_FAILED, CHECK_UNAVAILABLE, BUNDLE_LOST,
 * STORAGE_FULL, UPLOAD_QUOTA, DEPLOY_QUOTA, STORAGE_QUOTA, QUEUE_UNAVAILABLE, PRECONDITION_FAILED
 */
export async function deploy(
  parts: ControlParts,
  tenant: string,
  name: string,
  upload: CheckedDeployment,
  facts: DeployFacts,
): Promise<Deployed> {
  const { $schema: _, ...given } = upload.config;
  const config = withCanonicalEgress(given);
  if (config.name !== name) {
    const message = `config.name is ${JSON.stringify(config.name)}, but the URL says ${JSON.stringify(name)}.`;
    throw new SandpiperError("INVALID_CONFIG", { message });
  }
  checkPaths(upload.files);
  checkEntry(upload);
  await checkEgress(parts, tenant, config);
  await checkMovable(parts.redis, { tenant, functionName: name }, { alias: LIVE, ...facts });
  await checkProvision(parts, tenant, config);
  await takeDeploy(parts, tenant, name);
  const { entry, directory, included } = upload;
  const sources = { tenant, config, entry, directory, included, files: namedFiles(upload.files) };
  // Those that are held are dropped as soon as they are replaced.
  const kept = await keptVersion(parts, sources, facts.holder === undefined ? TEXT_WEIGHT : 1);
  const checked = upload.check ? await checkedVersion(parts, kept) : kept;
  const { version } = checked;
  const before = await parts.registry.getFunction({ tenant, functionName: name });
  const { created, percent } = await goLive(parts, version, upload, facts).catch(async (error: unknown) => {
    await dropUnwanted(parts, checked);
    throw error;
  });
  const egress = egressChange(before?.version.config.egress, config.egress);
  return { version, percent, created, egress, changes: versionChanges(before?.version ?? null, version) };
}

/** Moves `live` to a version, or lets the version have its share of the calls. */
async function goLive(parts: ControlParts, version: Version, upload: CheckedDeployment, facts: DeployFacts) {
  const { message = null, tag = null, canary } = upload;
  const { by, holder, expected } = facts;
  const target = (aliases: readonly Alias[]) => canaryTarget(aliases, version.version, canary);
  const move = { alias: LIVE, kind: "deploy", by, message, tag, holder, expected } as const;
  const moved = await moveTo(parts, version, move, canary === undefined ? wholly(version.version) : target);
  if (holder === undefined) {
    await noteDeployment(parts.redis, version, { message, tag, by, deployedAtMs: Date.now() });
  }
  const percent = moved.target.routes.find((route) => route.version === version.version)?.percent ?? 100;
  return { created: moved.created, percent };
}

/** Removes a version that this deployment built and nobody wants, unless another one does now. */
async function dropUnwanted({ registry }: ControlParts, { version, unusedSinceMs }: Kept): Promise<void> {
  if (unusedSinceMs !== null) await registry.removeVersion(version, unusedSinceMs).catch(() => {});
}

/** Counts a deployment. @throws SandpiperError DEPLOY_QUOTA */
async function takeDeploy({ redis, registry, quotas }: ControlParts, tenant: string, name: string): Promise<void> {
  const limit = quotas.of(tenant, "functions");
  if (limit > 0 && (await registry.getFunction({ tenant, functionName: name })) === null) {
    const used = await registry.countFunctions(tenant);
    if (used >= limit) throw quotas.refusal(tenant, "functions", { limit, used });
  }
  const over = await countDeploy(redis, tenant, quotas.of(tenant, "deploysPerHour"));
  if (over !== null) throw quotas.refusal(tenant, "deploysPerHour", over);
}

/** The version that these sources are: the one that is there already, or a new one. */
async function keptVersion(parts: ControlParts, sources: Sources, textWeight: number): Promise<Kept> {
  const { tenant, config, entry } = sources;
  const ref = { tenant, functionName: config.name, version: await digestOf(parts, sources) };
  const known = await parts.registry.getVersion(ref);
  if (known !== null && (await put(parts, known)).isWhole) return { version: known, unusedSinceMs: null };
  if (known === null) await takeVersion(parts, ref);
  await checkStorage(parts, tenant, null);
  for (let attempt = 1; attempt <= MOST_BUILDS; attempt++) {
    const { ok: _, writtenBytes = 0, ...built } = await build(parts, sources);
    const warnings = built.warnings.map((warning) => warning.slice(0, MAX_WARNING_LENGTH));
    const found = known?.found && { found: known.found };
    const kept = await keptConfig(parts, ref, config);
    const version: Version = { ...ref, ...kept, entry, ...built, warnings, createdAtMs: Date.now(), ...found };
    await checkStorage(parts, tenant, version).catch(async (error: unknown) => {
      await parts.quota.note(tenant, writtenBytes);
      throw error;
    });
    const { isWhole, unusedSinceMs } = await put(parts, version);
    await parts.quota.note(tenant, writtenBytes + JSON.stringify(version).length * textWeight);
    if (isWhole) return { version, unusedSinceMs };
  }
  throw new SandpiperError("BUNDLE_LOST");
}

/** The version's digest, which tells nothing of the values of `env`. */
async function digestOf({ secrets }: ControlParts, { tenant, config, entry, files, ...place }: Sources) {
  const isEmpty = Object.keys(config.env).length === 0;
  const env = isEmpty ? {} : { "": await secrets.fingerprint(tenant, config.env) };
  return versionDigest({ ...config, env }, entry, files, place);
}

/** The configuration as the registry has it: with `env` sealed. */
async function keptConfig({ secrets }: ControlParts, ref: VersionRef, config: FunctionConfig) {
  const env = await secrets.sealEnv(ref, config.env);
  return { config: { ...config, env: {} }, ...(env && { env }) };
}

/**
 * Keeps a version, which is whole unless its artefacts are gone. In this order: a collection that
 * looks at the versions later finds them needed, and what an earlier one took is seen to be gone
 * (store/gc.ts).
 */
async function put({ registry, artifacts }: ControlParts, version: Version) {
  const unusedSinceMs = await registry.putVersion(version);
  const { bundle, sourceMap, included = bundle } = version;
  const present = await Promise.all([bundle, sourceMap, included].map((digest) => artifacts.has(digest)));
  return { isWhole: !present.includes(false), unusedSinceMs };
}

/** The version with what a worker found when it loaded it, now or at an earlier deployment. */
async function checkedVersion(parts: ControlParts, { version, unusedSinceMs }: Kept): Promise<Kept> {
  if (version.found !== undefined) return { version, unusedSinceMs };
  try {
    const checked: Version = { ...version, found: await found(parts, version) };
    const since = await parts.registry.putVersion(checked);
    return { version: checked, unusedSinceMs: unusedSinceMs === null ? null : since };
  } catch (error) {
    // Nobody could ever run it, unless another deployment meanwhile wants it unchecked.
    await dropUnwanted(parts, { version, unusedSinceMs });
    throw error;
  }
}

async function found({ checks, buildTurns }: ControlParts, version: Version): Promise<FoundHandler> {
  const result = await buildTurns.take(version.tenant, () => checks.check(version));
  if (result.ok) return result.found;
  const code = result.cause === "machine" ? "CHECK_UNAVAILABLE" : "CHECK_FAILED";
  throw new SandpiperError(code, { message: result.message });
}

async function build(parts: ControlParts, sources: Sources) {
  const { tenant, config, entry, directory, included } = sources;
  const { name: functionName, external = [], env } = config;
  // The bundle has this value in it. The others are secrets and no business of a build.
  const nodeEnv = env.NODE_ENV ?? DEFAULT_NODE_ENV;
  const request = { tenant, functionName, entry, directory, included, external, nodeEnv };
  // A worker makes one bundle after another: a tenant that waits for one does not stand before all
  // others with its next.
  return await parts.buildTurns.take(tenant, async () => {
    await parts.quota.take(tenant, []);
    const { sourceDigest, files } = await parts.treeTurns.take("", () => keepTree(parts, sources));
    try {
      const result = await parts.builds.build({ ...request, sourceDigest });
      if (result.ok) return { ...result, files };
      const code = result.cause === "machine" ? "BUILD_UNAVAILABLE" : "BUILD_FAILED";
      throw new SandpiperError(code, { message: result.message });
    } finally {
      // The tree is the build's alone: gone at once, it needs no bound.
      const isFile = files.some(({ sha256 }) => sha256 === sourceDigest);
      if (!isFile)
        await parts.artifacts
          .sourcesOf(tenant)
          .drop(sourceDigest)
          .catch(() => {});
    }
  });
}

/** Puts the files together as one artefact, for the worker that builds. */
async function keepTree({ artifacts }: ControlParts, { tenant, files, directory, included }: Sources) {
  const store = artifacts.sourcesOf(tenant);
  const tree = await readSources(store, files);
  checkIncluded(includedFiles(tree, directory, included));
  const sourceDigest = await store.put(packSources(tree));
  const sized = files.map(({ path, sha256 }, index) => ({ path, sha256, bytes: tree[index]?.bytes.byteLength ?? 0 }));
  return { sourceDigest, files: sized };
}

function checkEntry({ entry, files }: CheckedDeployment): void {
  const problem = entryProblem(entry);
  if (problem !== null) {
    throw new SandpiperError("INVALID_SOURCE", { message: `The entry ${JSON.stringify(entry)} ${problem}.` });
  }
  if (files.some(({ path }) => path === entry)) return;
  throw new SandpiperError("INVALID_SOURCE", {
    message: `The entry ${JSON.stringify(entry)} is not among the uploaded files.`,
  });
}
