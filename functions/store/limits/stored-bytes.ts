/**
 * Bytes that are stored for a tenant: the source files, bundles and source maps of its versions,
 * each once however many versions have it, and its secrets as they are kept.
 */
import type { Redis } from "ioredis";
import type { SecretScope } from "../../model/secrets.ts";
import type { Version } from "../../model/version.ts";
import type { ArtifactSizes } from "../artifacts.ts";
import { functionsKey, secretScopesKey, secretsKey, versionsKey } from "../function-keys.ts";

/** Sizes of files and artefacts by their digest, and of all secrets together. */
export interface Stored {
  sizes: ReadonlyMap<string, number>;
  secretBytes: number;
}

/** The parts of a version that take room. */
type Sized = Pick<Version, "files" | "bundle" | "sourceMap" | "included">;

/** @throws what ioredis throws when Redis does not answer */
export async function storedOf(redis: Redis, artifacts: ArtifactSizes, tenant: string): Promise<Stored> {
  const names = await redis.smembers(functionsKey(tenant));
  const texts = await Promise.all(
    names.map(async (functionName) => {
      const fields = await redis.hgetall(versionsKey({ tenant, functionName }));
      return Object.entries(fields).flatMap(([field, text]) => (field.includes(":") ? [] : [text]));
    }),
  );
  const sizes = await sizesOf(
    artifacts,
    texts.flat().map((text) => JSON.parse(text) as Version),
  );
  const scopes = [null, ...(await redis.smembers(secretScopesKey(tenant)))];
  const secrets = await Promise.all(scopes.map((functionName) => redis.hvals(secretsKey({ tenant, functionName }))));
  return { sizes, secretBytes: secrets.flat().reduce((sum, text) => sum + text.length, 0) };
}

/** The sum of what is stored. */
export function sumOfStored({ sizes, secretBytes }: Stored): number {
  let sum = secretBytes;
  for (const bytes of sizes.values()) sum += bytes;
  return sum;
}

/** Files and artefacts of versions by their digest. */
export async function sizesOf(artifacts: ArtifactSizes, versions: readonly Sized[]): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for (const { files } of versions) for (const { sha256, bytes } of files) sizes.set(sha256, bytes);
  const made = new Set(versions.flatMap(({ bundle, sourceMap, included = bundle }) => [bundle, sourceMap, included]));
  await Promise.all([...made].map(async (digest) => sizes.set(digest, (await artifacts.size(digest)) ?? 0)));
  return sizes;
}

/** Bytes of a secret as it is kept now; 0 when there is none. */
export async function secretBytes(redis: Redis, scope: SecretScope, name: string): Promise<number> {
  return (await redis.hget(secretsKey(scope), name))?.length ?? 0;
}
