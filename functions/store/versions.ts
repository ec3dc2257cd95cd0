/** The versions of a function as people name and see them. */
import type { Redis } from "ioredis";
import type { Alias } from "../model/alias.ts";
import { SandpiperError } from "../model/errors.ts";
import type { VersionRef } from "../model/invocation.ts";
import type { Version } from "../model/version.ts";
import { aliasesOf, noVersion } from "./aliases.ts";
import { type FunctionRef, functionKey, noteField, versionsKey } from "./function-keys.ts";

/** Words about a version, as its last deployment gave them. */
export interface VersionNote {
  message: string | null;
  tag: string | null;
  /** Id of the API key. */
  by: string;
  /** Unix time in milliseconds. */
  deployedAtMs: number;
}

export interface ListedVersion {
  version: Version;
  /** null: nobody deployed it since there are notes. */
  note: VersionNote | null;
  /** Since when no alias names it, by Redis's clock; null when one does. */
  unusedSinceMs: number | null;
}

/** A full digest. */
const DIGEST = /^[0-9a-f]{64}$/;
const DIGITS = /^[0-9a-f]+$/;

/** KEYS: versions. ARGV: version, field, note. Notes nothing of a version that is gone. */
const NOTE = `
if redis.call("HEXISTS", KEYS[1], ARGV[1]) == 1 then redis.call("HSET", KEYS[1], ARGV[2], ARGV[3]) end`;

/** Keeps what a deployment says about its version. Words that it does not give stay. */
export async function noteDeployment(redis: Redis, ref: VersionRef, given: VersionNote): Promise<void> {
  const field = noteField(ref.version);
  const before = noteOf(await redis.hget(versionsKey(ref), field));
  const note = { ...given, message: given.message ?? before?.message ?? null, tag: given.tag ?? before?.tag ?? null };
  await redis.eval(NOTE, 1, versionsKey(ref), ref.version, field, JSON.stringify(note));
}

/**
 * The version of a function that a text names: all of its digits or the first ones, or its tag.
 * @throws SandpiperError VERSION_NOT_FOUND, VERSION_AMBIGUOUS
 */
export async function findVersion(redis: Redis, ref: FunctionRef, name: string): Promise<string> {
  const digests = (await redis.hkeys(versionsKey(ref))).filter((field) => !field.includes(":"));
  const fitting = DIGITS.test(name) ? digests.filter((digest) => digest.startsWith(name)) : [];
  const found = fitting.length > 0 ? fitting : await tagged(redis, ref, digests, name);
  const [version, other] = found;
  if (version === undefined) throw noVersion(ref.functionName, name);
  if (other === undefined) return version;
  const message = `${found.length} versions of ${ref.functionName} are meant by ${name}.`;
  throw new SandpiperError("VERSION_AMBIGUOUS", { message });
}

async function tagged(redis: Redis, ref: FunctionRef, digests: string[], tag: string): Promise<string[]> {
  if (digests.length === 0) return [];
  const notes = await redis.hmget(versionsKey(ref), ...digests.map(noteField));
  return digests.filter((_, index) => noteOf(notes[index] ?? null)?.tag === tag);
}

/** A function's aliases and versions, the youngest first; null when there is no such function. */
export async function listVersions(
  redis: Redis,
  ref: FunctionRef,
): Promise<{ aliases: Alias[]; versions: ListedVersion[] } | null> {
  const both = redis.multi().hgetall(functionKey(ref)).hgetall(versionsKey(ref));
  const [[, state] = [], [, fields] = []] = ((await both.exec()) ?? []) as [unknown, Record<string, string>?][];
  const [aliases, stored] = [aliasesOf(state ?? {}), fields ?? {}];
  if (aliases.length === 0) return null;
  const named = new Set(aliases.flatMap(({ routes }) => routes.map(({ version }) => version)));
  const versions = Object.keys(stored).filter((field) => DIGEST.test(field));
  const listed = versions.map((digest): ListedVersion => {
    const version = JSON.parse(stored[digest] ?? "") as Version;
    const since = named.has(digest) ? undefined : stored[`${digest}:unusedSinceMs`];
    const unusedSinceMs = since === undefined ? null : Number(since);
    return { version, note: noteOf(stored[noteField(digest)] ?? null), unusedSinceMs };
  });
  return { aliases, versions: listed.sort((one, other) => dateOf(other) - dateOf(one)) };
}

function dateOf({ version, note }: ListedVersion): number {
  return note?.deployedAtMs ?? version.createdAtMs;
}

function noteOf(text: string | null): VersionNote | null {
  return text === null ? null : (JSON.parse(text) as VersionNote);
}
