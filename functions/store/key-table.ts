/**
 * Every key of Redis, and whose it is. A deletion of a tenant goes by this table alone, so a key
 * that is not in it would be left behind: a test compares it with the table of the architecture,
 * and that one with the code.
 */
import type { RemovedKind } from "../model/tenants.ts";

/**
 * `tenant`: its name says whose it is. `field`: a hash or set with a field for each tenant.
 * `fields`: a hash whose fields begin with the tenant's name, and a space or "/".
 * `record`: JSON inside says whose it is. `ends`: of calls and builds under way, or without a
 * tenant's data; goes by itself. `all`: everybody's.
 */
export type Ownership = "tenant" | "field" | "fields" | "record" | "ends" | "all";

export interface KeyRow {
  /** As the architecture writes it: `<tenant>` is a tenant's name, `<...>` another word. */
  pattern: string;
  owner: Ownership;
  /** The kind that its entries count as when they are removed. */
  counts?: RemovedKind;
}

export const KEY_TABLE: readonly KeyRow[] = [
  { pattern: "sp:queue:calls:*", owner: "ends" },
  { pattern: "sp:queue:builds:*", owner: "ends" },
  { pattern: "sp:queue:checks:*", owner: "ends" },
  { pattern: "sp:body:<uuid>", owner: "ends" },
  { pattern: "sp:body:<sender>-<number>-<index>", owner: "ends" },
  { pattern: "sp:bodies:<gateway>", owner: "ends" },
  { pattern: "sp:direct:<gateway>", owner: "ends" },
  { pattern: "sp:slots", owner: "ends" },
  { pattern: "sp:reply:<gateway>", owner: "ends" },
  { pattern: "sp:taken:<sender>:<gateway>", owner: "ends" },
  { pattern: "sp:cancelled", owner: "ends" },
  { pattern: "sp:claims:<gateway>", owner: "ends" },
  { pattern: "sp:claimed:<worker>", owner: "ends" },
  { pattern: "sp:functions:<tenant>", owner: "tenant" },
  { pattern: "sp:function:<tenant>:<function>", owner: "tenant", counts: "functions" },
  { pattern: "sp:versions:<tenant>:<function>", owner: "tenant", counts: "versions" },
  { pattern: "sp:deletedversions:<tenant>:<function>", owner: "tenant" },
  { pattern: "sp:history:<tenant>:<function>", owner: "tenant" },
  { pattern: "sp:registry:revisions", owner: "all" },
  { pattern: "sp:provisions", owner: "fields" },
  { pattern: "sp:provisions:changes", owner: "ends" },
  { pattern: "sp:warm:<worker>", owner: "ends" },
  { pattern: "sp:quotas", owner: "fields" },
  { pattern: "sp:quotas:changes", owner: "ends" },
  { pattern: "sp:rate:<tenant>", owner: "tenant" },
  { pattern: "sp:rate:<tenant>/<function>", owner: "tenant" },
  { pattern: "sp:cpu:<tenant>", owner: "tenant" },
  { pattern: "sp:cpu:<tenant>/<function>", owner: "tenant" },
  { pattern: "sp:deploys:<tenant>", owner: "tenant" },
  { pattern: "sp:secrets:<tenant>", owner: "tenant", counts: "secrets" },
  { pattern: "sp:secrets:<tenant>:<function>", owner: "tenant", counts: "secrets" },
  { pattern: "sp:secretscopes:<tenant>", owner: "tenant" },
  { pattern: "sp:secretversions", owner: "field" },
  { pattern: "sp:secrets:changes", owner: "ends" },
  { pattern: "sp:datakeys:<tenant>", owner: "tenant" },
  { pattern: "sp:signingkeys:<tenant>:<function>", owner: "tenant" },
  { pattern: "sp:masterkeys", owner: "all" },
  { pattern: "sp:gc:marks", owner: "all" },
  { pattern: "sp:gc:marks:<tenant>", owner: "tenant" },
  { pattern: "sp:uploads:<tenant>", owner: "tenant" },
  { pattern: "sp:gc:lock", owner: "all" },
  { pattern: "sp:gc:turn", owner: "all" },
  { pattern: "sp:gc:redis", owner: "all" },
  { pattern: "sp:registry:changes", owner: "ends" },
  { pattern: "sp:form", owner: "all" },
  { pattern: "sp:form:lock", owner: "ends" },
  { pattern: "sp:restoring:<restore>:*", owner: "ends" },
  { pattern: "sp:canaries", owner: "all" },
  { pattern: "sp:tenants", owner: "all" },
  { pattern: "sp:tenantstops", owner: "all" },
  { pattern: "sp:tenants:changes", owner: "ends" },
  { pattern: "sp:domains", owner: "all" },
  { pattern: "sp:domains:revision", owner: "all" },
  { pattern: "sp:domains:changes", owner: "ends" },
  { pattern: "sp:domainclaims:<tenant>", owner: "tenant", counts: "domains" },
  { pattern: "sp:audit:<tenant>", owner: "tenant", counts: "auditEntries" },
  { pattern: "sp:operatoraudit", owner: "all" },
  { pattern: "sp:apikeys:<tenant>", owner: "tenant" },
  { pattern: "sp:apikey:<key id>", owner: "record", counts: "keys" },
  { pattern: "sp:operatorkeys", owner: "all" },
  { pattern: "sp:egress:grants", owner: "field", counts: "grants" },
  { pattern: "sp:egress:changes", owner: "ends" },
  { pattern: "sp:logs:<tenant>:<function>", owner: "tenant", counts: "logEntries" },
  { pattern: "sp:record:<invocation>", owner: "ends" },
  { pattern: "sp:records:<first 11 characters of the invocation>", owner: "ends" },
  { pattern: "sp:recordsgone:<minute>", owner: "ends" },
  { pattern: "sp:recordheap:<tenant>:<function>:<ok or failed>", owner: "tenant" },
  { pattern: "sp:recordheap:unrun", owner: "all" },
  { pattern: "sp:recordheaps", owner: "all" },
  { pattern: "sp:recordbytes", owner: "all" },
  { pattern: "sp:trace:<tenant>:<trace>", owner: "tenant", counts: "traces" },
  { pattern: "sp:usage:<tenant>:<hour>", owner: "tenant" },
  { pattern: "sp:usagewriter:<writer>", owner: "ends" },
  { pattern: "sp:workers", owner: "ends" },
  { pattern: "sp:worker:<worker>", owner: "ends" },
  { pattern: "sp:canary:<uuid>", owner: "ends" },
  { pattern: "sp:writable", owner: "ends" },
  { pattern: "sp:build:<digest>", owner: "ends" },
];

/** Matches the keys of a pattern: all of them, or one tenant's. */
export function matcherOf(pattern: string, tenant?: string): RegExp {
  const words = pattern.split(/(<[^>]+>|\*)/).map((word) => {
    if (word === "*") return ".*";
    if (word === "<tenant>" && tenant !== undefined) return tenant;
    return word.startsWith("<") ? "[^:]+" : word;
  });
  return new RegExp(`^${words.join("")}$`);
}
