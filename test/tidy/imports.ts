/** Who may import whom, which package has which one owner, and that imports make no circle. */
import { type Import, packageOf, resolveImport, type Source } from "./source.ts";

/** The first rule whose prefix fits a file's path says where its relative imports may lead. */
const MAY_IMPORT: readonly (readonly [prefix: string, targets: readonly string[]])[] = [
  ["functions/", ["functions/", "infra/std/"]],
  // systemd is told by datagrams, which Node cannot send.
  ["infra/systemd.ts", ["infra/", "sandbox-core/syscall/datagram.ts"]],
  ["infra/", ["infra/"]],
  ["sandbox-core/runtime/", ["sandbox-core/runtime/", "sandbox-core/protocol/"]],
  ["sandbox-core/protocol/", ["sandbox-core/protocol/", "sandbox-core/contract/"]],
  // Boxes on the command line declare hosts in the words of a manifest.
  ["sandbox-core/box/cli/egress-options.ts", ["sandbox-core/", "functions/model/"]],
  ["sandbox-core/", ["sandbox-core/"]],
  ["gateway/", ["gateway/", "functions/", "infra/"]],
  ["worker/", ["worker/", "functions/", "infra/", "sandbox-core/"]],
  ["test/", [""]],
];

/** Packages that only some files may import. */
const OWNERS: readonly (readonly [packages: RegExp, owners: RegExp])[] = [
  [/^koffi$/, /^sandbox-core\/syscall\//],
  // The benchmark's floor is bare BullMQ, which our own queue cannot stand in for.
  [/^bullmq$/, /^(functions\/transport\/|test\/bench\/measure\/bullmq-floor\.ts$)/],
  [/^esbuild$/, /^(worker\/code\/bundler-program\.ts|functions\/(cli|bundler)\/)/],
  [/^@opentelemetry\/(?!api$)/, /^infra\//],
  [/^prom-client$/, /^infra\/telemetry\//],
  [/^(hono|@hono\/.*)$/, /^gateway\//],
  // The CLI talks HTTP to a gateway, and what runs inside a sandbox has nothing to talk to.
  [/^ioredis$/, /^(functions\/(redis|store|transport)\/.*|infra\/.*|gateway\/.*|worker\/.*)$/],
];

/** What every workspace may use needs nothing but Node. */
const NODE_ONLY = /^infra\/std\//;

/** Tests may import any package but these: what they test must be ours. */
const CLOSED_TO_TESTS = /^bullmq$/;

/** Modules inside `functions` that the CLI may use for their types only, as they speak to Redis. */
const REDIS_MODULES = /^functions\/(redis|store|transport)\//;
const TENANT_CODE = /^functions\/(examples|templates)\//;

/**
 * Relative imports that leave where a file may import from, or do not name a file with its ending.
 */
export function forbiddenImports(sources: readonly Source[]): string[] {
  return sources.flatMap(({ path, imports }) => imports.flatMap((one) => forbiddenImport(path, one)));
}

function forbiddenImport(path: string, { specifier, typeOnly }: Import): string[] {
  if (specifier.startsWith("@sandpiper/")) return [`${path} imports ${specifier}: use a relative path`];
  const target = resolveImport(path, specifier);
  if (target === null) return [];
  if (TENANT_CODE.test(path)) return target.startsWith(projectOf(path)) ? [] : [leaves(path, target)];
  if (!/\.(ts|mjs|json)$/.test(specifier)) return [`${path} imports ${specifier}: name the file with its ending`];
  return mayImport(path, target, typeOnly) ? [] : [leaves(path, target)];
}

function mayImport(path: string, target: string, typeOnly: boolean): boolean {
  if (path.startsWith("functions/cli/") && REDIS_MODULES.test(target)) return typeOnly;
  const allowed = MAY_IMPORT.find(([prefix]) => path.startsWith(prefix))?.[1] ?? [];
  return allowed.some((prefix) => target.startsWith(prefix));
}

/** "functions/examples/hello/" of a file in it: an example stands alone. */
function projectOf(path: string): string {
  return `${path.split("/").slice(0, 3).join("/")}/`;
}

function leaves(path: string, target: string): string {
  return `${path} may not import ${target}`;
}

/** Imports of a package by a file that does not own it. */
export function foreignPackages(sources: readonly Source[]): string[] {
  return sources
    .filter(({ path }) => !TENANT_CODE.test(path))
    .flatMap(({ path, imports }) =>
      imports
        .filter(({ specifier }) => isForeign(path, packageOf(specifier)))
        .map(({ specifier }) => `${path} may not import ${specifier}`),
    );
}

function isForeign(path: string, name: string | null): boolean {
  if (name === null) return false;
  if (NODE_ONLY.test(path)) return true;
  if (path.startsWith("test/") && !CLOSED_TO_TESTS.test(name)) return false;
  const owners = OWNERS.find(([packages]) => packages.test(name))?.[1];
  return owners !== undefined && !owners.test(path);
}

/** Circles of imports, those of types too, each told once, from its first file by name. */
export function importCycles(sources: readonly Source[]): string[] {
  const graph = new Map(
    sources.map(({ path, imports }) => [
      path,
      imports.flatMap(({ specifier }) => resolveImport(path, specifier) ?? []),
    ]),
  );
  const cycles = new Set<string>();
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) cycles.add(describeCycle(trail.slice(start)));
    if (start >= 0 || done.has(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return [...cycles];
}

function describeCycle(cycle: readonly string[]): string {
  const first = cycle.indexOf([...cycle].sort()[0] as string);
  const turned = [...cycle.slice(first), ...cycle.slice(0, first)];
  return `imports in a circle: ${[...turned, turned[0]].join(" -> ")}`;
}
