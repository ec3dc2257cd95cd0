/**
 * Deployment: uploaded files become a version, the version gets its bundle, and the function moves
 * to it.
 */
import type { CheckedDeployment } from "../../functions/api/schemas.ts";
import { SandpiperError } from "../../functions/model/errors.ts";
import type { FunctionConfig } from "../../functions/model/manifest.ts";
import {
  checkSources,
  entryProblem,
  MAX_SOURCE_BYTES,
  packSources,
  type SourceTreeFile,
} from "../../functions/model/sources.ts";
import { type SourceFile, type Version, versionDigest } from "../../functions/model/version.ts";
import { sha256 } from "../../functions/store/artifacts.ts";
import { MIB } from "../../infra/std/bytes.ts";
import type { ControlParts } from "./context.ts";

/** A tree of the largest size as base64, and room for paths and configuration. */
export const MAX_DEPLOY_BYTES = Math.ceil((MAX_SOURCE_BYTES * 4) / 3) + 4 * MIB;

/** Builds of a deployment whose bundle was collected before its version was kept. */
const MOST_BUILDS = 2;

export interface Deployed {
  version: Version;
  /** Whether the function is new. */
  created: boolean;
  warnings: string[];
}

/**
 * Makes a function run what was uploaded.
 * @throws SandpiperError INVALID_CONFIG, INVALID_SOURCE, BUILD_FAILED, BUILD_UNAVAILABLE,
 * BUNDLE_LOST, STORAGE_FULL, QUEUE_UNAVAILABLE
 */
export async function deploy(
  parts: ControlParts,
  tenant: string,
  name: string,
  upload: CheckedDeployment,
): Promise<Deployed> {
  const { $schema: _, ...config } = upload.config;
  if (config.name !== name) {
    const message = `config.name is ${JSON.stringify(config.name)}, but the URL says ${JSON.stringify(name)}.`;
    throw new SandpiperError("INVALID_CONFIG", { message });
  }
  const sources = upload.files.map(decodeFile);
  checkSources(sources);
  checkEntry(upload.entry, sources);
  const { version, warnings } = await versionOf(parts, tenant, config, upload.entry, sources);
  const created = await parts.registry.deployFunction(version);
  parts.versions.forget(`${tenant}/${name}`);
  return { version, created, warnings };
}

/** The version that these sources are: the one that is there already, or a new one. */
async function versionOf(
  parts: ControlParts,
  tenant: string,
  config: FunctionConfig,
  entry: string,
  sources: SourceTreeFile[],
): Promise<{ version: Version; warnings: string[] }> {
  const files: SourceFile[] = sources.map(({ path, bytes }) => ({ path, sha256: sha256(bytes), bytes: bytes.length }));
  const ref = { tenant, functionName: config.name, version: versionDigest(config, entry, files) };
  const known = await parts.registry.getVersion(ref);
  if (known && (await put(parts, known))) return { version: known, warnings: [] };
  for (let attempt = 1; attempt <= MOST_BUILDS; attempt++) {
    const { bundle, sourceMap, bundleBytes, warnings } = await build(parts, tenant, config, entry, sources);
    const version: Version = { ...ref, config, entry, files, bundle, sourceMap, bundleBytes, createdAtMs: Date.now() };
    if (await put(parts, version)) return { version, warnings };
  }
  throw new SandpiperError("BUNDLE_LOST");
}

/**
 * Keeps a version; false when its artefacts are gone. In this order: a collection that looks at the
 * versions later finds them needed, and what an earlier one took is seen to be gone (store/gc.ts).
 */
async function put({ registry, artifacts }: ControlParts, version: Version): Promise<boolean> {
  await registry.putVersion(version);
  return (await artifacts.has(version.bundle)) && (await artifacts.has(version.sourceMap));
}

async function build(
  { artifacts, builds, buildTurns }: ControlParts,
  tenant: string,
  config: FunctionConfig,
  entry: string,
  sources: SourceTreeFile[],
) {
  const sourceDigest = await artifacts.put(packSources(sources));
  // The values of `env` are secrets and no business of a build.
  const request = { tenant, functionName: config.name, sourceDigest, entry, config: { ...config, env: {} } };
  // A worker makes one bundle after another: a tenant that waits for one does not stand before all
  // others with its next.
  const result = await buildTurns.take(tenant, () => builds.build(request));
  if (result.ok) return result;
  const code = result.cause === "machine" ? "BUILD_UNAVAILABLE" : "BUILD_FAILED";
  throw new SandpiperError(code, { message: result.message });
}

function decodeFile({ path, contentBase64 }: { path: string; contentBase64: string }): SourceTreeFile {
  const bytes = Buffer.from(contentBase64, "base64");
  // Buffer.from skips what is no base64; a file must not lose bytes without a word.
  if (bytes.toString("base64") !== contentBase64) {
    throw new SandpiperError("INVALID_SOURCE", { message: `The content of ${JSON.stringify(path)} is not base64.` });
  }
  return { path, bytes };
}

function checkEntry(entry: string, sources: SourceTreeFile[]): void {
  const problem = entryProblem(entry);
  if (problem !== null) {
    throw new SandpiperError("INVALID_SOURCE", { message: `The entry ${JSON.stringify(entry)} ${problem}.` });
  }
  if (sources.some(({ path }) => path === entry)) return;
  throw new SandpiperError("INVALID_SOURCE", {
    message: `The entry ${JSON.stringify(entry)} is not among the uploaded files.`,
  });
}
