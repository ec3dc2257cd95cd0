/**
 * Deploys files that are in memory: uploads those that the gateway lacks, several at once, and has
 * the function run them.
 */
import { createHash } from "node:crypto";
import { MIB } from "../../../infra/std/bytes.ts";
import type { Deployed, Deployment } from "../../api/schemas.ts";
import { packSources, type SourceTreeFile } from "../../model/sources.ts";
import type { Gateway } from "../client/gateway.ts";
import { CliError } from "../failure.ts";

/** Files of this size together travel in one request; a larger file has one of its own. */
const BATCH_BYTES = MIB;
/** Requests in course at once. */
const AT_ONCE = 4;
/** What the gateway said to have may be collected before it is named, and be uploaded once more. */
const MOST_ATTEMPTS = 2;

/** A function and all its files, as `collectUpload` collects them. */
export interface Deployable {
  config: Deployment["config"];
  /** The entry file, by its path among the files. */
  entry: string;
  /** The function's own directory among the files, and those that lie beside its bundle. */
  directory?: string;
  included?: string[];
  files: readonly SourceTreeFile[];
}

/** Words about a deployment, and the share of calls that its version gets. */
export type DeployFacts = Pick<Deployment, "message" | "tag" | "canary">;

export interface DeployOptions {
  facts?: DeployFacts;
  /** Whether the version is loaded in a sandbox before it goes live; true unless given. */
  check?: boolean;
  /** The holder of the function's name, when somebody holds it. */
  holder?: string | undefined;
  /** Digests of files that the gateway had a moment ago; those of these files, from then on. */
  known?: Set<string>;
  /** Told, as files arrive at the gateway, how many bytes are there of those that it lacked. */
  onUploaded?(sentBytes: number, ofBytes: number): void;
}

/**
 * Makes a function run these files.
 * @throws CliError as `Gateway` does: of kind `build` when they do not build or load
 */
export async function deployFiles(
  gateway: Gateway,
  { files, config, entry, directory, included }: Deployable,
  { facts = {}, check = true, holder, known = new Set(), onUploaded }: DeployOptions = {},
): Promise<Deployed> {
  const digests = files.map(({ bytes }) => createHash("sha256").update(bytes).digest("hex"));
  const byDigest = new Map(digests.map((digest, index) => [digest, (files[index] as SourceTreeFile).bytes]));
  const named = files.map(({ path }, index) => ({ path, sha256: digests[index] as string }));
  const place = { entry, directory, included };
  for (let attempt = 1; ; attempt++) {
    await uploadMissing(gateway, byDigest, known, onUploaded);
    known.clear();
    try {
      const deployed = await gateway.deploy(config.name, { config, ...place, files: named, check, ...facts }, holder);
      for (const digest of digests) known.add(digest);
      return deployed;
    } catch (error) {
      const isGone = error instanceof CliError && error.code === "SOURCE_MISSING";
      if (!isGone || attempt === MOST_ATTEMPTS) throw error;
    }
  }
}

/**
 * Uploads of these files, by their SHA-256, what the gateway lacks. Nobody asks where it had some:
 * the others changed since, and it has not seen them.
 */
async function uploadMissing(
  gateway: Gateway,
  files: ReadonlyMap<string, Uint8Array>,
  known: ReadonlySet<string>,
  onUploaded: DeployOptions["onUploaded"],
): Promise<void> {
  const asked = [...files.keys()].filter((digest) => !known.has(digest));
  if (asked.length === 0) return;
  const missing = known.size > 0 ? asked : await gateway.missingSources(asked);
  const lacking = missing.flatMap((path) => {
    const bytes = files.get(path);
    return bytes === undefined ? [] : [{ path, bytes }];
  });
  const ofBytes = sizeOf(lacking);
  let sentBytes = 0;
  const batches = inBatches(lacking);
  const sendAll = async () => {
    for (let batch = batches.shift(); batch !== undefined; batch = batches.shift()) {
      await gateway.uploadSources(packSources(batch));
      sentBytes += sizeOf(batch);
      onUploaded?.(sentBytes, ofBytes);
    }
  };
  if (batches.length > 0) onUploaded?.(0, ofBytes);
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, sendAll));
  } finally {
    // After a failure no other batch is begun.
    batches.length = 0;
  }
}

function inBatches(files: readonly SourceTreeFile[]): SourceTreeFile[][] {
  const batches: SourceTreeFile[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const file of files) {
    if (bytes + file.bytes.byteLength > BATCH_BYTES) {
      batches.push([]);
      bytes = 0;
    }
    batches.at(-1)?.push(file);
    bytes += file.bytes.byteLength;
  }
  return batches;
}

function sizeOf(files: readonly SourceTreeFile[]): number {
  return files.reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
}
