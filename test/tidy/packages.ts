/** Rules on package.json files and the lock file. */

export interface PackageJson {
  name: string;
  version: string;
  private?: boolean;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}

export interface LockFile {
  packages: Record<
    string,
    { version?: string; resolved?: string; link?: boolean; optionalDependencies?: Record<string, string> }
  >;
}

/** Folders of workspaces that the published package does not contain. */
const NOT_PUBLISHED = ["test"];

/** The same package in different ranges, and workspaces whose versions differ from the root's. */
export function versionConflicts(root: PackageJson, workspaces: ReadonlyMap<string, PackageJson>): string[] {
  const ranges = new Map<string, string>();
  const problems: string[] = [];
  for (const [folder, manifest] of [["the root", root] as const, ...workspaces]) {
    if (manifest.version !== root.version)
      problems.push(`${folder} has version ${manifest.version}, not ${root.version}`);
    for (const [name, range] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })) {
      const known = ranges.get(name) ?? range;
      if (known !== range) problems.push(`${folder} wants ${name} ${range}, another wants ${known}`);
      ranges.set(name, known);
    }
  }
  return problems;
}

/**
 * The root is what is published, so it must list what its workspaces need at run time, and nothing
 * else.
 */
export function rootDependencies(root: PackageJson, workspaces: ReadonlyMap<string, PackageJson>): string[] {
  const needed = new Map<string, string>();
  for (const [folder, { dependencies = {} }] of workspaces) {
    if (NOT_PUBLISHED.includes(folder)) continue;
    for (const [name, range] of Object.entries(dependencies)) needed.set(name, range);
  }
  const listed = root.dependencies ?? {};
  return [
    ...[...needed]
      .filter(([name, range]) => listed[name] !== range)
      .map(([name, range]) => `the root lacks ${name} ${range}`),
    ...Object.keys(listed)
      .filter((name) => !needed.has(name))
      .map((name) => `the root lists ${name}, which no published workspace needs`),
  ];
}

/**
 * The binary of Node is one package for each processor. Both are pinned, to the same version: a
 * range lets the lock file take whatever each registry has, and machines of two kinds run two
 * Nodes.
 */
export function pinnedNodes(root: PackageJson, lock: LockFile): string[] {
  const wanted = Object.entries(root.optionalDependencies ?? {}).filter(([name]) => name.startsWith("node-linux-"));
  const first = wanted[0]?.[1] ?? "none";
  return wanted.flatMap(([name, version]) => {
    const locked = lock.packages[`node_modules/${name}`]?.version;
    if (!/^\d+\.\d+\.\d+$/.test(version)) return [`${name} ${version} is a range`];
    if (version !== first) return [`${name} is ${version}, another Node is ${first}`];
    return locked === version ? [] : [`the lock file has ${name} ${locked}, not ${version}`];
  });
}

/** Addresses of registries in the lock file; the links to our own workspaces are paths. */
export function resolvedAddresses(lock: LockFile): string[] {
  return Object.entries(lock.packages)
    .filter(([, { resolved, link }]) => resolved !== undefined && !link)
    .map(([path, { resolved }]) => `the lock file says that ${path} comes from ${resolved}`);
}

/** `npm ci` refuses a lock file that lacks an optional package, also one for another system. */
export function missingOptionalPackages(lock: LockFile): string[] {
  return Object.entries(lock.packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter((name) => !lock.packages[`node_modules/${name}`] && !lock.packages[`${path}/node_modules/${name}`])
      .map((name) => `the lock file lacks ${name}, an optional package of ${path || "the root"}: npm ci refuses it`),
  );
}
