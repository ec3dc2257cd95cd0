/** The parts of a bundle: whose code it is, and which modules of the runtime it imports. */

/** Most packages that are told one by one, and modules of the runtime. */
export const MAX_PACKAGES = 50;
export const MAX_BUILTINS = 200;
/** As npm has it for names of packages. */
const MAX_NAME_LENGTH = 214;

/** Code of one origin. */
export interface PackageShare {
  /** null: the function's own files. */
  name: string | null;
  /** Bytes of the bundle. */
  bytes: number;
}

export interface BundleContents {
  /** The largest first. */
  packages: PackageShare[];
  /** Packages beyond those. */
  others: { count: number; bytes: number };
  /** Modules of the runtime that it imports, such as "node:net", in the order of their names. */
  builtins: string[];
}

/** Contents with no more packages than are told, of all that there are. */
export function contentsWith(shares: readonly PackageShare[], builtins: readonly string[]): BundleContents {
  const sorted = shares.toSorted((one, other) => other.bytes - one.bytes);
  const beyond = sorted.slice(MAX_PACKAGES);
  return {
    packages: sorted
      .slice(0, MAX_PACKAGES)
      .map(({ name, bytes }) => ({ name: name?.slice(0, MAX_NAME_LENGTH) ?? null, bytes })),
    others: { count: beyond.length, bytes: beyond.reduce((sum, { bytes }) => sum + bytes, 0) },
    builtins: [...new Set(builtins)].sort().slice(0, MAX_BUILTINS),
  };
}

/** The contents that a stranger's value is, and nothing else of it; null when it is none. */
export function contentsFrom(value: unknown): BundleContents | null {
  if (!isObject(value) || !isObject(value.others)) return null;
  const { packages, others, builtins } = value;
  if (!isListOf(packages, MAX_PACKAGES, isShare) || !isListOf(builtins, MAX_BUILTINS, isName)) return null;
  const { count, bytes } = others;
  if (!isCount(count) || !isCount(bytes)) return null;
  return { packages: packages.map(({ name, bytes }) => ({ name, bytes })), others: { count, bytes }, builtins };
}

function isListOf<Item>(value: unknown, most: number, isItem: (item: unknown) => item is Item): value is Item[] {
  return Array.isArray(value) && value.length <= most && value.every(isItem);
}

function isShare(value: unknown): value is PackageShare {
  return isObject(value) && (value.name === null || isName(value.name)) && isCount(value.bytes);
}

function isName(value: unknown): value is string {
  return typeof value === "string" && value.length <= MAX_NAME_LENGTH;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
