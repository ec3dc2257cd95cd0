/** The origins of a bundle, as esbuild tells them. */
import { builtinModules } from "node:module";
import { type BundleContents, contentsWith } from "../model/bundle-contents.ts";
import { packageNameIn } from "./advice.ts";
import type { BuiltEntry } from "./entry-build.ts";

/** Whether it names a module of Node's. */
export function isNodes(path: string): boolean {
  return path.startsWith("node:") || builtinModules.includes(path);
}

/** Whose code is in these entries, and what of the runtime they import. */
export function contentsOf(all: readonly BuiltEntry[]): BundleContents {
  const outputs = all.flatMap(({ metafile }) => Object.values(metafile.outputs));
  const bytes = new Map<string | null, number>();
  for (const [path, { bytesInOutput }] of outputs.flatMap(({ inputs }) => Object.entries(inputs))) {
    const name = packageNameIn(`/${path}`);
    if (bytesInOutput > 0) bytes.set(name, (bytes.get(name) ?? 0) + bytesInOutput);
  }
  const shares = [...bytes].map(([name, bytes]) => ({ name, bytes }));
  // Imports that are left once unused code is gone.
  const builtins = outputs.flatMap(({ imports }) => imports.flatMap(({ path }) => builtinOf(path) ?? []));
  return contentsWith(shares, builtins);
}

function builtinOf(path: string): string | null {
  if (path.startsWith("cloudflare:")) return path;
  if (!isNodes(path)) return null;
  return path.startsWith("node:") ? path : `node:${path}`;
}
