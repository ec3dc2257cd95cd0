/** The target of a domain. */
import { aliasProblem } from "./alias.ts";
import { NAME_PATTERN } from "./manifest.ts";

/** The target of a domain: a function, or one of its aliases. */
export interface DomainTarget {
  functionName: string;
  /** null: what the function's own URL calls. */
  alias: string | null;
}

/** A target as people write it: `FUNCTION` or `FUNCTION@ALIAS`; null for anything else. */
export function readDomainTarget(text: string): DomainTarget | null {
  const [functionName = "", alias, ...rest] = text.split("@");
  if (!NAME_PATTERN.test(functionName) || rest.length > 0) return null;
  if (alias === undefined) return { functionName, alias: null };
  return aliasProblem(alias) === null ? { functionName, alias } : null;
}

/** A target as `readDomainTarget` reads it. */
export function domainTargetText({ functionName, alias }: DomainTarget): string {
  return alias === null ? functionName : `${functionName}@${alias}`;
}
