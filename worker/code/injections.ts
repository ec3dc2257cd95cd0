/** Fields put into a version's requests on their way out, with the values of its secrets. */
import type { EgressEntry } from "../../functions/model/egress-entry.ts";
import { secretsIn, withSecrets } from "../../functions/model/egress-injection.ts";
import type { EgressInjection } from "../../sandbox-core/index.ts";
import { LoadFailure } from "../outcome/outcome.ts";

/** Values of a header field: ASCII that can be seen, with spaces within. */
const FIELD_VALUE = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;

/**
 * @param entries in their canonical form
 * @param secrets all that they name
 * @throws LoadFailure SECRET_UNFIT
 */
export function injectionsOf(entries: readonly EgressEntry[], secrets: ReadonlyMap<string, string>): EgressInjection[] {
  return entries.flatMap((entry): EgressInjection[] => {
    if (typeof entry === "string" || entry.inject === undefined) return [];
    for (const name of secretsIn(entry)) if (!FIELD_VALUE.test(secrets.get(name) ?? "")) refuseUnfit(name, entry.to);
    const headers = Object.entries(entry.inject).map(([field, value]) => [field, withSecrets(value, secrets)] as const);
    return [{ name: entry.to, headers, methods: entry.methods ?? null, paths: entry.paths ?? null }];
  });
}

function refuseUnfit(name: string, host: string): never {
  throw new LoadFailure(
    "SECRET_UNFIT",
    `The secret ${name} is injected into requests to ${host}, and a header field is one line of ASCII without a space at either end: set it to such a value.`,
  );
}
