/**
 * Uploaded source files: each tenant has a store of its own, and a deployment names files of that
 * by their SHA-256.
 */
import type { CheckedDeployment } from "../../functions/api/schemas.ts";
import { SandpiperError } from "../../functions/model/errors.ts";
import { checkSize, type SourceTreeFile, unpackSources } from "../../functions/model/sources.ts";
import { type FileArtifactStore, sha256 } from "../../functions/store/artifacts.ts";
import type { ControlParts } from "./context.ts";

/** Files that are looked at, read or written at once. */
const AT_ONCE = 32;

type SourceParts = Pick<ControlParts, "artifacts" | "quota">;

/** A file of a deployment: its bytes, or where they are. */
export interface NamedFile {
  path: string;
  sha256: string;
  /** null: in the tenant's store. */
  bytes: Uint8Array | null;
}

/** The digests that the store lacks, in their order, each once. */
export async function lackingSources(store: FileArtifactStore, digests: readonly string[]): Promise<string[]> {
  const asked = [...new Set(digests)];
  const present = await mapSome(asked, (digest) => store.has(digest));
  return asked.filter((_, index) => !present[index]);
}

/**
 * Keeps files that come packed as a source tree, each named by its SHA-256.
 * @throws SandpiperError INVALID_SOURCE when it is no such tree or a name is not that of its bytes,
 * and then keeps none, as with UPLOAD_QUOTA; STORAGE_FULL
 */
export async function keepSources({ artifacts, quota }: SourceParts, tenant: string, packed: Uint8Array) {
  const store = artifacts.sourcesOf(tenant);
  const files = unpackSources(packed);
  for (const { path, bytes } of files) {
    if (sha256(bytes) === path) continue;
    const message = `The bytes that came as ${JSON.stringify(path)} have another SHA-256. Nothing of this upload was kept.`;
    throw new SandpiperError("INVALID_SOURCE", { message });
  }
  const lacking = new Set(
    await lackingSources(
      store,
      files.map(({ path }) => path),
    ),
  );
  const fresh = files.filter(({ path }) => lacking.has(path));
  if (fresh.length === 0) return;
  await quota.take(
    tenant,
    fresh.map(({ bytes }) => bytes.byteLength),
  );
  await mapSome(fresh, ({ bytes }) => store.put(bytes));
}

/**
 * A deployment's files by path and digest. @throws SandpiperError INVALID_SOURCE for wrong base64
 */
export function namedFiles(files: CheckedDeployment["files"]): NamedFile[] {
  return files.map(({ path, contentBase64, sha256: digest = "" }) => {
    if (contentBase64 === undefined) return { path, sha256: digest, bytes: null };
    const bytes = decoded(path, contentBase64);
    return { path, sha256: sha256(bytes), bytes };
  });
}

/**
 * All files with their bytes, whose sizes are looked at before any is read.
 * @throws SandpiperError SOURCE_MISSING when the tenant's store lacks some, INVALID_SOURCE when
 * they are too large together
 */
export async function readSources(store: FileArtifactStore, files: readonly NamedFile[]): Promise<SourceTreeFile[]> {
  const sizes = await mapSome(files, ({ sha256, bytes }) => bytes?.byteLength ?? store.size(sha256));
  checkNoneLacks(sizes);
  checkSize(sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0));
  const read = await mapSome(files, ({ sha256, bytes }) => bytes ?? store.get(sha256).catch(nullWhenDamaged));
  checkNoneLacks(read);
  return files.map(({ path }, index) => ({ path, bytes: read[index] as Uint8Array }));
}

/** A damaged file is out of the way now, and its client has it. */
function nullWhenDamaged(error: NodeJS.ErrnoException): null {
  if (error.code === undefined) return null;
  throw error;
}

function checkNoneLacks(found: readonly unknown[]): void {
  const lacking = found.filter((one) => one === null).length;
  if (lacking === 0) return;
  const message = `${lacking} of the ${found.length} files are not in the tenant's store of sources. Upload them first.`;
  throw new SandpiperError("SOURCE_MISSING", { message });
}

function decoded(path: string, contentBase64: string): Uint8Array {
  const bytes = Buffer.from(contentBase64, "base64");
  // Buffer.from skips what is no base64; a file must not lose bytes without a word.
  if (bytes.toString("base64") !== contentBase64) {
    throw new SandpiperError("INVALID_SOURCE", { message: `The content of ${JSON.stringify(path)} is not base64.` });
  }
  return bytes;
}

/** As `Promise.all` of a map, with a few of them in course at once. */
async function mapSome<T, R>(items: readonly T[], work: (item: T) => R | Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < items.length; at += AT_ONCE) {
    results.push(...(await Promise.all(items.slice(at, at + AT_ONCE).map(work))));
  }
  return results;
}
