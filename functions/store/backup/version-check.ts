/** Looks whether a version of a backup file is one that a gateway could have made. */
import { z } from "zod";
import type { BackupRecord } from "../../model/backup/contents.ts";
import { functionConfigSchema } from "../../model/manifest.ts";
import { readRoute } from "../../model/routes.ts";
import { MAX_SOURCE_FILES } from "../../model/sources.ts";
import type { Version } from "../../model/version.ts";
import { routesField } from "../domains/live-routes.ts";

const DIGEST = /^[0-9a-f]{64}$/;
/** A note on a version: its digest, and a word. */
const NOTE = /^[0-9a-f]{64}:[A-Za-z]{1,64}$/;
const digest = z.string().regex(DIGEST);

const versionSchema = z.object({
  config: z.unknown().refine((config) => functionConfigSchema.safeParse(config).success),
  env: z.object({ names: z.array(z.string()), sealed: z.string() }).optional(),
  entry: z.string().max(512),
  files: z.array(z.object({ path: z.string().max(512), sha256: digest, bytes: z.int().min(0) })).max(MAX_SOURCE_FILES),
  bundle: digest,
  sourceMap: digest,
  included: digest.optional(),
});

/** The fault of an entry of a function's versions as the end of a sentence, or null. */
export function versionProblem(entry: readonly string[], { tenant, name }: BackupRecord): string | null {
  const [field = "", text = ""] = entry;
  if (field.endsWith(routesField(""))) return areRoutes(text) ? null : "are no routes";
  if (NOTE.test(field)) return null;
  const version = DIGEST.test(field) ? parsed(text) : null;
  if (version === null) return "is no version";
  const isOwn = version.tenant === tenant && version.functionName === name && version.version === field;
  if (!isOwn) return "is a version of something else";
  const { success, error } = versionSchema.safeParse(version);
  return success ? null : `is no version: ${error.issues[0]?.path.join(".")}`;
}

function areRoutes(text: string): boolean {
  try {
    const routes: unknown = JSON.parse(text);
    return Array.isArray(routes) && routes.every((route) => typeof route === "string" && "domain" in readRoute(route));
  } catch {
    return false;
  }
}

function parsed(text: string): Version | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" ? (value as Version) : null;
  } catch {
    return null;
  }
}

/** Digests of what a version needs, in the store of all, and of its tenant's source files. */
export function artifactsOf({ bundle, sourceMap, included, files }: Version): { shared: string[]; sources: string[] } {
  return {
    shared: [bundle, sourceMap, ...(included === undefined ? [] : [included])],
    sources: files.map(({ sha256 }) => sha256),
  };
}
