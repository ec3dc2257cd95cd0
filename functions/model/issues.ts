/** The complaints of a schema, one for each thing that is wrong. */
import type { z } from "zod";

export type Issue = z.core.$ZodIssue;

/**
 * The issues with those of unions replaced by what the fitting branch says: the one that takes this
 * kind of value, where there is one. A union that fits nowhere says which kinds it takes.
 */
export function plainIssues(issues: readonly Issue[]): Issue[] {
  return issues.flatMap((issue) => (issue.code === "invalid_union" ? ofUnion(issue) : [issue]));
}

function ofUnion(issue: Extract<Issue, { code: "invalid_union" }>): Issue[] {
  const fitting = issue.errors.filter((branch) => !branch.some(isWrongKind));
  const [only, ...more] = fitting;
  if (only !== undefined && more.length === 0) {
    return plainIssues(only).map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] }));
  }
  const kinds = issue.errors.flat().flatMap((inner) => (isWrongKind(inner) ? [inner.expected] : []));
  return [{ ...issue, message: `it must be ${kinds.map((kind) => KINDS[kind] ?? kind).join(" or ")}` }];
}

function isWrongKind(issue: Issue): issue is Extract<Issue, { code: "invalid_type" }> {
  return issue.code === "invalid_type" && issue.path.length === 0;
}

/** Kinds of values in words. */
export const KINDS: Readonly<Record<string, string>> = {
  string: "a string",
  number: "a number",
  int: "a whole number",
  record: "an object",
  object: "an object",
  array: "an array",
};

/** A sentence on an issue for whom the schema's own words do not say it. */
export function sentenceOf(issue: Issue): string {
  const inner = issue.code === "invalid_key" ? issue.issues[0]?.message : undefined;
  return inner === undefined ? issue.message : `the name ${JSON.stringify(issue.path.at(-1))} cannot be used: ${inner}`;
}
