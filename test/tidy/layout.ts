/**
 * Which folder may need which, types included; that nothing goes in a circle; who knows keys of
 * Redis; names that are there once.
 */
import { dirname } from "node:path";
import { resolveImport, type Source } from "./source.ts";

const BELOW_FORK = ["rootfs/", "cgroup/", "seccomp/", "protocol/", "syscall/", "contract/", "abi/"];

/**
 * Of each folder of sandbox-core: where its imports may lead beside itself. The walls between
 * processes are here.
 */
const CORE: Record<string, readonly string[]> = {
  contract: [],
  abi: [],
  syscall: ["abi/"],
  seccomp: ["abi/"],
  cgroup: ["contract/", "syscall/", "abi/"],
  rootfs: ["contract/", "syscall/", "abi/"],
  protocol: ["contract/"],
  runtime: ["protocol/frames.ts"],
  fork: ["runtime/", ...BELOW_FORK],
  zygote: ["fork/", "runtime/", ...BELOW_FORK],
  // It is in the host's network with hostile bytes: as little of ours as can be.
  egress: [
    "protocol/egress.ts",
    "protocol/injector.ts",
    "protocol/control.ts",
    "seccomp/",
    "contract/",
    "syscall/",
    "abi/",
  ],
  // It holds what is injected, and parses what sandboxes send.
  injector: [
    "egress/lock-in.ts",
    "protocol/egress.ts",
    "protocol/injector.ts",
    "protocol/control.ts",
    "seccomp/",
    "contract/",
    "syscall/",
  ],
  // It holds secrets: no code of the zygote's, a fork's or a sandbox's.
  launcher: ["cgroup/", "rootfs/", "protocol/", "syscall/", "contract/", "abi/"],
  attest: ["fork/attempts.ts", "cgroup/", "rootfs/", "protocol/", "contract/", "syscall/", "abi/"],
  host: [
    "attest/",
    "launcher/",
    "runtime/flags.ts",
    "cgroup/",
    "seccomp/",
    "rootfs/",
    "protocol/",
    "contract/",
    "syscall/",
    "abi/",
  ],
  box: ["host/", "launcher/", "rootfs/", "protocol/", "contract/", "syscall/", "abi/"],
  "box/cli": ["box/", "host/", "cgroup/", "protocol/", "contract/", "syscall/", "abi/"],
};

const CORE_OF_WORKER = ["sandbox-core/index.ts", "sandbox-core/protocol/frames.ts"];
const MODEL = ["functions/model/"];
const DATA = [
  "functions/model/",
  "functions/secrets/",
  "functions/store/",
  "functions/redis/",
  "functions/transport/",
  "infra/std/",
];

/**
 * The first folder that a file is in says where its imports may lead, beside that folder itself.
 */
const MAY_NEED: readonly (readonly [folder: string, targets: readonly string[]])[] = [
  // Whose words it reads, test/tidy/imports.ts says.
  ["sandbox-core/box/cli/egress-options.ts", ["sandbox-core/box/", "sandbox-core/contract/", "functions/model/"]],
  ...Object.entries(CORE)
    .map(([name, targets]) => [`sandbox-core/${name}/`, targets.map((target) => `sandbox-core/${target}`)] as const)
    .sort(([one], [other]) => other.length - one.length),
  ["worker/outcome/", [...DATA, ...CORE_OF_WORKER]],
  ["worker/code/", ["worker/outcome/", ...DATA, ...CORE_OF_WORKER]],
  ["worker/instance/", ["worker/code/", "worker/outcome/", ...DATA, ...CORE_OF_WORKER]],
  ["worker/pool/", ["worker/instance/", "worker/code/", "worker/outcome/", ...DATA, ...CORE_OF_WORKER]],
  ["worker/path/", ["worker/pool/", "worker/instance/", "worker/code/", "worker/outcome/", ...DATA, ...CORE_OF_WORKER]],
  ["worker/warm/", ["worker/path/", "worker/pool/", "worker/code/", "worker/outcome/", ...DATA, ...CORE_OF_WORKER]],
  ["functions/model/", ["infra/std/"]],
  ["functions/bundler/", ["functions/model/", "infra/std/"]],
  ["functions/api/", ["functions/model/", "infra/std/"]],
  ["functions/redis/", ["infra/std/"]],
  ["functions/secrets/", ["infra/std/"]],
  ["functions/store/", ["functions/redis/", "functions/secrets/", ...MODEL, "infra/std/"]],
  ["functions/transport/", ["functions/redis/", ...MODEL, "infra/std/"]],
  ["functions/cli/", ["functions/api/", "functions/bundler/", ...MODEL, "infra/std/"]],
  ["gateway/http/", ["functions/api/", ...DATA]],
  ["gateway/limits/", DATA],
  ["gateway/call/", ["gateway/http/", "gateway/limits/", "functions/api/", ...DATA]],
  [
    "gateway/control/",
    ["gateway/http/", "gateway/limits/", "gateway/call/current-versions.ts", "functions/api/", ...DATA],
  ],
  ["infra/std/", []],
];

/** Imports, of types too, that lead where a file's folder must not lead. */
export function foldersCrossed(sources: readonly Source[]): string[] {
  return sources.flatMap(({ path, imports }) => {
    const rule = MAY_NEED.find(([folder]) => path.startsWith(folder));
    if (rule === undefined) return [];
    const [folder, targets] = rule;
    const isInside = (target: string) => target.startsWith(folder) && ruleOf(target) === rule;
    return imports
      .map(({ specifier }) => resolveImport(path, specifier))
      .filter((target): target is string => target !== null && !isInside(target))
      .filter((target) => !targets.some((allowed) => target.startsWith(allowed)))
      .map((target) => `${path} may not import ${target}: ${folder} may need ${targets.join(", ") || "nothing"}`);
  });
}

function ruleOf(path: string) {
  return MAY_NEED.find(([folder]) => path.startsWith(folder));
}

/** Files inside of the library that import its façade. */
export function facadeFromInside(sources: readonly Source[]): string[] {
  return sources
    .filter(({ path }) => path.startsWith("sandbox-core/"))
    .filter(({ path, imports }) =>
      imports.some((one) => resolveImport(path, one.specifier) === "sandbox-core/index.ts"),
    )
    .map(({ path }) => `${path} imports the façade: take it from where it is`);
}

/**
 * Circles among the folders of one folder. Files beside those folders compose them, and do not
 * count.
 */
export function folderCircles(sources: readonly Source[]): string[] {
  const needs = new Map<string, Set<string>>();
  for (const { path, imports } of sources) {
    if (path.startsWith("test/")) continue;
    for (const { specifier } of imports) {
      const target = resolveImport(path, specifier);
      const siblings = target === null ? null : siblingsOf(dirname(path), dirname(target));
      if (siblings === null) continue;
      const known = needs.get(siblings[0]) ?? new Set();
      needs.set(siblings[0], known.add(siblings[1]));
    }
  }
  return [...needs].flatMap(([folder, others]) =>
    [...others]
      .filter((other) => folder < other && reaches(needs, other, folder))
      .map((other) => `folders in a circle: ${folder} and ${other}`),
  );
}

/** The two folders, beside each other, that two folders are or are in; null when there are none. */
function siblingsOf(one: string, other: string): [string, string] | null {
  const [a, b] = [one.split("/"), other.split("/")];
  let common = 0;
  while (common < a.length && a[common] === b[common]) common++;
  // Workspaces have rules of their own.
  if (common === 0 || common >= a.length || common >= b.length) return null;
  return [a.slice(0, common + 1).join("/"), b.slice(0, common + 1).join("/")];
}

function reaches(needs: ReadonlyMap<string, ReadonlySet<string>>, from: string, to: string): boolean {
  const seen = new Set<string>();
  const todo = [from];
  for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
    if (at === to) return true;
    if (seen.has(at)) continue;
    seen.add(at);
    todo.push(...(needs.get(at) ?? []));
  }
  return false;
}

const KNOWS_KEYS = /^(functions\/(redis|store|transport)\/|test\/)/;

/** Keys and channels of Redis outside of the folders that own them. */
export function strayKeys(sources: readonly Source[]): string[] {
  return sources
    .filter(({ path, code }) => !KNOWS_KEYS.test(path) && /["'`]sp:/.test(code))
    .map(
      ({ path }) => `${path} has a key of Redis: keys are in functions/redis, functions/store and functions/transport`,
    );
}

/** Exported classes whose name another file's exported class has too. */
export function namesakes(sources: readonly Source[]): string[] {
  const owners = new Map<string, string[]>();
  for (const { path, code } of sources) {
    if (/^(test|functions\/(examples|templates))\//.test(path)) continue;
    for (const [, name = ""] of code.matchAll(/^export (?:abstract )?class (\w+)/gm))
      owners.set(name, [...(owners.get(name) ?? []), path]);
  }
  return [...owners]
    .filter(([, paths]) => paths.length > 1)
    .map(([name, paths]) => `${paths.join(" and ")} have a class ${name}`);
}

const PRODUCT = /^(gateway|worker|sandbox-core|functions|infra)\//;
const NO_SUBJECT = /^functions\/(examples|templates)\//;

/**
 * Folders whose noun the glossary does not explain; `glossary` is its text, a bold word or a row
 * for each.
 */
export function unexplainedFolders(paths: readonly string[], glossary: string): string[] {
  const folders = new Set(
    paths.filter((path) => PRODUCT.test(path) && !NO_SUBJECT.test(path)).map((path) => dirname(path)),
  );
  const nouns = new Set(
    [...folders].filter((folder) => folder.includes("/")).map((folder) => folder.split("/").at(-1) ?? ""),
  );
  return [...nouns]
    .filter((noun) => !new RegExp(`^\\| ${noun} \\|`, "m").test(glossary))
    .map((noun) => `the glossary of docs/ARCHITECTURE.md has no row for the folder ${noun}`);
}
