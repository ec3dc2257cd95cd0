/**
 * The parts of a backup, and the key of Redis that each is kept in. A file names parts, tenants and
 * functions, and no keys: what it may write is decided here alone. A test compares this table with
 * that of all keys, so that a new key is either carried or left out on purpose.
 */
import { z } from "zod";
import type { BackupRecord } from "../../model/backup/contents.ts";
import { invalid } from "../../model/backup/frames.ts";
import { readDomain } from "../../model/domains.ts";
import { NAME_PATTERN } from "../../model/manifest.ts";
import { versionProblem } from "./version-check.ts";

export type PartKind =
  /** All fields, values or entries; of a string its value. */
  | "hash"
  | "list"
  | "stream"
  | "string"
  /** The one field of a hash that has the tenant's name. */
  | "field"
  /** The fields of a hash that begin with the tenant's name and a space or "/". */
  | "fields";

export interface Part {
  part: string;
  pattern: string;
  kind: PartKind;
  /** The owner: each function, each tenant, nobody; `named`: it has a name of its own. */
  of: "function" | "tenant" | "named" | "all";
  /** A restore without secrets leaves it out. */
  isSecret?: boolean;
  /** The form of the name, when it has one of its own. */
  name?: RegExp;
  /** The fault of an entry as the end of a sentence, or null. */
  problem?: (entry: readonly string[], record: BackupRecord) => string | null;
}

const json = (schema: z.ZodType) => {
  return (text: string | undefined) => {
    try {
      return schema.safeParse(JSON.parse(text ?? "")).success;
    } catch {
      return false;
    }
  };
};

const SEALED = /^sp1\.[0-9a-f]{8,32}\.[A-Za-z0-9_-]{38,}$/;
const KEY_ID = /^[0-9a-f]{12}$/;
const NUMBER = /^\d{1,16}$/;
const SECRET_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
const STREAM_ID = /^\d{1,15}-\d{1,15}$/;
const FIELD = /^[A-Za-z]{1,64}(?::[a-z0-9-]{1,32})?$/;
/** Fields of a function's hash that are of a process that holds it, or counts of a gateway. */
const PASSING = /^(?:holder$|watch:)/;

const isRecord = json(z.record(z.string(), z.unknown()));
const isSecret = json(z.strictObject({ version: z.int(), updatedAtMs: z.int(), sealed: z.string().regex(SEALED) }));
const isSigningKey = json(z.object({ sealed: z.string().regex(SEALED) }));
const isKey = json(
  z.object({
    tenant: z.string().regex(NAME_PATTERN),
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    scopes: z.array(z.string()).optional(),
    functions: z.array(z.string()).nullable().optional(),
  }),
);
const isClaim = json(
  z.strictObject({
    functionName: z.string().regex(NAME_PATTERN),
    alias: z.string().max(64).optional(),
    token: z.string().regex(/^[0-9a-f]{40}$/),
    createdAtMs: z.int(),
  }),
);
const isStop = json(z.strictObject({ state: z.literal("suspended"), sinceMs: z.int() }));
const isTarget = json(
  z.object({
    routes: z
      .array(z.object({ version: z.string(), percent: z.int() }))
      .min(1)
      .max(2),
    auto: z.looseObject({ windowMs: z.int().min(1) }).optional(),
  }),
);

/** Whether a name has the form in which domains are kept. */
function isDomain(name: string): boolean {
  const read = readDomain(name);
  return "name" in read && read.name === name;
}

const unless = (isFit: boolean, problem: string): string | null => (isFit ? null : problem);

const SECRETS: Pick<Part, "kind" | "isSecret" | "problem"> = {
  kind: "hash",
  isSecret: true,
  problem: ([name = "", text]) => unless(SECRET_NAME.test(name) && isSecret(text), "is no sealed secret"),
};
const ENTRY: Pick<Part, "kind" | "problem"> = {
  kind: "stream",
  problem: ([id = "", text]) => unless(STREAM_ID.test(id) && isRecord(text), "is no entry of an audit log"),
};

export const PARTS: readonly Part[] = [
  { part: "revisions", pattern: "sp:registry:revisions", kind: "string", of: "all", problem: number },
  { part: "operator-audit", pattern: "sp:operatoraudit", of: "all", ...ENTRY },
  {
    ...{ part: "tenant", pattern: "sp:tenants", kind: "field", of: "tenant" },
    problem: ([text]) => unless(isRecord(text), "is no tenant"),
  },
  {
    ...{ part: "stop", pattern: "sp:tenantstops", kind: "field", of: "tenant" },
    problem: ([text]) => unless(isStop(text), "is no suspension"),
  },
  {
    ...{ part: "grants", pattern: "sp:egress:grants", kind: "field", of: "tenant" },
    problem: ([text]) => unless(isRecord(text), "are no grants"),
  },
  {
    ...{ part: "quotas", pattern: "sp:quotas", kind: "fields", of: "tenant" },
    problem: ([, value = ""]) => unless(NUMBER.test(value), "is no limit"),
  },
  { part: "audit", pattern: "sp:audit:<tenant>", of: "tenant", ...ENTRY },
  {
    ...{ part: "key-list", pattern: "sp:apikeys:<tenant>", kind: "hash", of: "tenant" },
    problem: ([id = "", used = ""]) => unless(KEY_ID.test(id) && /^\d{0,16}$/.test(used), "is no key's use"),
  },
  {
    ...{ part: "key", pattern: "sp:apikey:<key id>", kind: "string", of: "named", name: KEY_ID },
    problem: ([text], { tenant }) =>
      unless(isKey(text) && JSON.parse(text ?? "").tenant === tenant, "is no key of its tenant"),
  },
  {
    ...{ part: "usage", pattern: "sp:usage:<tenant>:<hour>", kind: "hash", of: "named", name: /^\d{1,7}$/ },
    problem: ([field = "", value = ""]) => unless(field.length <= 128 && NUMBER.test(value), "is no usage"),
  },
  { part: "secrets", pattern: "sp:secrets:<tenant>", of: "tenant", ...SECRETS },
  { part: "function-secrets", pattern: "sp:secrets:<tenant>:<function>", of: "function", ...SECRETS },
  {
    ...{ part: "secret-counter", pattern: "sp:secretversions", kind: "field", of: "tenant", isSecret: true },
    problem: number,
  },
  {
    ...{ part: "data-keys", pattern: "sp:datakeys:<tenant>", kind: "hash", of: "tenant", isSecret: true },
    problem: ([id = "", sealed = ""]) =>
      unless(KEY_ID.test(sealed) ? id === "current" : KEY_ID.test(id) && SEALED.test(sealed), "is no sealed data key"),
  },
  {
    ...{ part: "signing-keys", pattern: "sp:signingkeys:<tenant>:<function>", kind: "hash", of: "function" },
    isSecret: true,
    problem: ([id = "", text = ""]) =>
      unless(KEY_ID.test(text) ? id === "current" : KEY_ID.test(id) && isSigningKey(text), "is no sealed signing key"),
  },
  {
    ...{ part: "domain-claims", pattern: "sp:domainclaims:<tenant>", kind: "hash", of: "tenant" },
    problem: ([name = "", text]) => unless(isDomain(name) && isClaim(text), "is no claim of a domain"),
  },
  {
    ...{ part: "versions", pattern: "sp:versions:<tenant>:<function>", kind: "hash", of: "function" },
    problem: versionProblem,
  },
  {
    ...{ part: "history", pattern: "sp:history:<tenant>:<function>", kind: "list", of: "function" },
    problem: ([text]) => unless(isRecord(text), "is no act"),
  },
  {
    ...{ part: "function", pattern: "sp:function:<tenant>:<function>", kind: "hash", of: "function" },
    problem: ([field = "", value = ""]) => {
      if (!FIELD.test(field) || PASSING.test(field)) return "is no field of a function";
      return unless(!field.startsWith("alias:") || isTarget(value), "is no target of an alias");
    },
  },
];

/** Keys that have data for longer than a call, and are no part of a backup; the reasons. */
export const LEFT_OUT: Readonly<Record<string, string>> = {
  "sp:functions:<tenant>": "follows from the functions",
  "sp:secretscopes:<tenant>": "follows from the secrets",
  "sp:provisions": "follows from the functions",
  "sp:domains": "proven where it is to answer",
  "sp:domains:revision": "counts the changes of those",
  "sp:cpu:<tenant>": "a count of minutes",
  "sp:cpu:<tenant>/<function>": "a count of minutes",
  "sp:canaries": "follows from the aliases: a watch begins anew",
  "sp:deletedversions:<tenant>:<function>": "for calls that were admitted before",
  "sp:rate:<tenant>": "a count of seconds",
  "sp:rate:<tenant>/<function>": "a count of seconds",
  "sp:deploys:<tenant>": "a count of an hour",
  "sp:uploads:<tenant>": "a count of a day",
  "sp:masterkeys": "who has master keys notes them",
  "sp:operatorkeys": "who operates a machine is decided there",
  "sp:form": "the header has it",
  "sp:gc:marks": "of the files of one machine",
  "sp:gc:marks:<tenant>": "of the files of one machine",
  "sp:gc:lock": "of processes of one machine",
  "sp:gc:turn": "of processes of one machine",
  "sp:gc:redis": "the name of one Redis",
  "sp:logs:<tenant>:<function>": "large, and gone after a week",
  "sp:recordheap:<tenant>:<function>:<ok or failed>": "large, and gone after a week",
  "sp:recordheap:unrun": "large, and gone after a week",
  "sp:recordheaps": "follows from the records",
  "sp:recordbytes": "follows from the records",
  "sp:trace:<tenant>:<trace>": "gone after ten minutes",
};

export const PARTS_BY_NAME: ReadonlyMap<string, Part> = new Map(PARTS.map((part) => [part.part, part]));

function number([value = ""]: readonly string[]): string | null {
  return unless(NUMBER.test(value), "is no number");
}

/** The part of a record. @throws SandpiperError BACKUP_INVALID when it is not as it may be */
export function checkedPart(record: BackupRecord): Part {
  const { part: word, tenant, name, entries } = record;
  const part = PARTS_BY_NAME.get(word);
  if (part === undefined) throw invalid(`it has a ${JSON.stringify(word)}, which is nothing that is restored`);
  const whose = `${word} of ${[tenant ?? "all", ...(name === null ? [] : [name])].join("/")}`;
  if (!isSomebodys(part, record)) throw invalid(`its ${whose} is nobody's`);
  for (const entry of entries) {
    const problem = shapeProblem(part, entry, tenant) ?? part.problem?.(entry, record) ?? null;
    if (problem !== null) throw invalid(`in its ${whose}, ${JSON.stringify(entry[0]?.slice(0, 80))} ${problem}`);
  }
  return part;
}

function isSomebodys(part: Part, { tenant, name }: BackupRecord): boolean {
  if ((tenant === null) !== (part.of === "all")) return false;
  const form = part.of === "function" ? NAME_PATTERN : part.name;
  return form === undefined ? name === null : name !== null && form.test(name);
}

const PAIRS: readonly PartKind[] = ["hash", "stream", "fields"];

function shapeProblem({ kind }: Part, entry: readonly string[], tenant: string | null): string | null {
  if (entry.length !== (PAIRS.includes(kind) ? 2 : 1)) return "is not of its form";
  return unless(kind !== "fields" || tenantOf(entry[0] ?? "") === tenant, "is another tenant's");
}

/** The tenant of a field that begins with its name and a space or "/". */
export function tenantOf(field: string): string {
  return /^[^ /]*/.exec(field)?.[0] ?? "";
}

/** The key of Redis that a part is kept in. */
export function keyOfPart({ pattern }: Part, tenant: string | null, name: string | null): string {
  const words = [tenant, name].filter((word) => word !== null);
  return pattern.includes("<tenant>")
    ? pattern.replace("<tenant>", words[0] ?? "").replace(/<[^>]+>/, words[1] ?? "")
    : pattern.replace(/<[^>]+>/, name ?? "");
}
