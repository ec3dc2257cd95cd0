/** Reads a function for a backup, all of it at one moment. */
import type { Redis } from "ioredis";
import type { Version } from "../../model/version.ts";
import { aliasesOf } from "../aliases.ts";
import {
  type FunctionRef,
  functionKey,
  historyKey,
  secretsKey,
  signingKeysKey,
  versionsKey,
} from "../function-keys.ts";

export interface ReadFunction {
  /** By digest: the fields of a version and of what was found out about it. */
  versions: Map<string, string[][]>;
  parsed: Version[];
  /** Digests of the versions that an alias names. */
  named: ReadonlySet<string>;
  /** The other parts, in the order of the file: the function itself is the last. */
  records: [part: string, entries: string[][]][];
}

/** Fields of a function's hash that a process has there while it lives. */
const WATCH = /^watch:/;

/** Null when there is no such function, or it ends with the process that holds it. */
export async function readFunction(redis: Redis, ref: FunctionRef): Promise<ReadFunction | null> {
  const read = redis.multi().hgetall(functionKey(ref)).hgetall(versionsKey(ref)).lrange(historyKey(ref), 0, -1);
  const answers = (await read.hgetall(secretsKey(ref)).hgetall(signingKeysKey(ref)).exec()) ?? [];
  const failed = answers.find(([error]) => error);
  if (failed?.[0]) throw failed[0];
  const [state, versions, history, secrets, signingKeys] = answers.map(([, answer]) => answer) as [
    Record<string, string>,
    Record<string, string>,
    string[],
    Record<string, string>,
    Record<string, string>,
  ];
  if (state.version === undefined || state.holder !== undefined) return null;
  const byDigest = Map.groupBy(Object.entries(versions), ([field]) => field.split(":")[0] ?? "");
  // Notes may outlive their version.
  for (const digest of byDigest.keys()) if (versions[digest] === undefined) byDigest.delete(digest);
  return {
    versions: byDigest,
    parsed: [...byDigest.keys()].map((digest) => JSON.parse(versions[digest] ?? "") as Version),
    named: new Set(aliasesOf(state).flatMap(({ routes }) => routes.map(({ version }) => version))),
    records: [
      ["history", history.map((text) => [text])],
      ["function-secrets", Object.entries(secrets)],
      ["signing-keys", Object.entries(signingKeys)],
      ["function", Object.entries(state).filter(([field]) => !WATCH.test(field))],
    ],
  };
}
