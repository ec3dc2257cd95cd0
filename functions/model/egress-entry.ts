/** The field `egress` of a manifest: its schema, and one form for all ways to write the same. */
import { z } from "zod";
import { type EgressRule, formatRule, readRule } from "./egress.ts";
import {
  canonicalInjection,
  type Injection,
  injectionFields,
  injectionProblem,
  secretsIn,
} from "./egress-injection.ts";

/** Most rules of one function, and most different ports: a sandbox listens on each of them. */
export const MAX_RULES = 64;
export const MAX_PORTS = 16;
/** A name of 253 characters, with a wildcard and a port. */
const MAX_RULE_LENGTH = 264;

/** A rule with what the relay puts into its requests. */
export interface InjectedEntry extends Injection {
  to: string;
}
export type EgressEntry = string | InjectedEntry;

/** A rough pattern for editors; `readRule` has the words. */
const EDITOR_PATTERN = "^(public|(\\*\\.)?[^\\s/@*:\\[\\]]+(:[0-9]{1,5})?|\\[[0-9a-fA-F:.]+\\](:[0-9]{1,5})?)$";

const ruleSchema = z
  .string()
  .max(MAX_RULE_LENGTH)
  .superRefine((text, context) => {
    const rule = readRule(text, "function");
    if (typeof rule === "string") context.addIssue({ code: "custom", message: rule });
  })
  .meta({
    pattern: EDITOR_PATTERN,
    description: "A name, `*.` and a name, an address, or `public`; then `:` and a port, unless it is 443.",
  });

const entrySchema = z.union([
  ruleSchema,
  z.strictObject({ to: ruleSchema, ...injectionFields }).superRefine((entry, context) => {
    const rule = readRule(entry.to, "function");
    // Faults of the rule itself are told at its own place.
    const problem = typeof rule === "string" ? null : injectionProblem(rule, entry);
    if (problem !== null) context.addIssue({ code: "custom", ...problem });
  }),
]);

/** The hosts that a function may connect to; none when the field is missing. */
export const egressSchema = z
  .array(entrySchema)
  .max(MAX_RULES, `at most ${MAX_RULES} rules; "*.example.com" is one for many hosts, and public for all`)
  .superRefine((entries, context) => {
    for (const { index, message } of listProblems(entries)) {
      context.addIssue({ code: "custom", path: index === null ? [] : [index], message });
    }
  });

/** The rule of an entry. @throws Error for one that the schema refuses */
export function ruleOf(entry: EgressEntry): EgressRule {
  const rule = readRule(typeof entry === "string" ? entry : entry.to, "function");
  if (typeof rule === "string") throw new Error(rule);
  return rule;
}

/** The entries in one form and order for all ways to write the same. */
export function canonicalEgress(entries: readonly EgressEntry[]): EgressEntry[] {
  const canonical = entries.map((entry): EgressEntry => {
    const to = formatRule(ruleOf(entry));
    const injection = typeof entry === "string" ? null : canonicalInjection(entry);
    return injection === null ? to : { to, ...injection };
  });
  return canonical.sort((a, b) => (textOf(a) < textOf(b) ? -1 : 1));
}

/** The rule of an entry in its canonical form, as it is shown. */
export function textOf(entry: EgressEntry): string {
  return typeof entry === "string" ? entry : entry.to;
}

/** Names of the secrets that the relay has, and the function's own code has not. */
export function injectedSecrets(entries: readonly EgressEntry[]): string[] {
  return [...new Set(entries.flatMap((entry) => (typeof entry === "string" ? [] : secretsIn(entry))))].sort();
}

interface ListProblem {
  /** Of the entry; null for the list. */
  index: number | null;
  message: string;
}

/** Faults of entries beside each other. */
function listProblems(entries: readonly EgressEntry[]): ListProblem[] {
  const rules = entries.map((entry) => readRule(textOf(entry), "function"));
  const texts = rules.map((rule) => (typeof rule === "string" ? null : formatRule(rule)));
  const problems = texts.flatMap((text, index): ListProblem[] => {
    const first = text === null ? index : texts.indexOf(text);
    return first === index ? [] : [{ index, message: `"${text}" is declared already, as rule ${first + 1}` }];
  });
  const ports = new Set(rules.flatMap((rule) => (typeof rule === "string" || rule.ports === "any" ? [] : rule.ports)));
  if (ports.size > MAX_PORTS) {
    problems.push({ index: null, message: `${ports.size} different ports; at most ${MAX_PORTS} can be used` });
  }
  return [...problems, ...waysAround(entries, rules)];
}

/** Rules that lead past what is injected, and past the methods and paths that pass. */
function waysAround(entries: readonly EgressEntry[], rules: readonly (EgressRule | string)[]): ListProblem[] {
  const isPublic = rules.some((rule) => typeof rule !== "string" && rule.to.kind === "public");
  return rules.flatMap((injected, injectedAt): ListProblem[] => {
    if (typeof injected === "string" || injected.to.kind !== "name" || !isInjected(entries[injectedAt])) return [];
    if (isPublic) return [{ index: injectedAt, message: INJECTED_AND_PUBLIC }];
    const { name } = injected.to;
    return rules.flatMap((rule, index) => {
      if (index === injectedAt || typeof rule === "string" || !leadsTo(rule, name)) return [];
      const message = `"${formatRule(rule)}" reaches ${name} past what is injected for it: leave one of the two out`;
      return [{ index, message }];
    });
  });
}

function isInjected(entry: EgressEntry | undefined): boolean {
  return entry !== undefined && typeof entry !== "string" && entry.inject !== undefined;
}

function leadsTo({ to }: EgressRule, name: string): boolean {
  return (to.kind === "name" && to.name === name) || (to.kind === "suffix" && name.endsWith(to.suffix));
}

const INJECTED_AND_PUBLIC =
  'nothing can be injected while "public" is declared: the function could send it to any host. Name each host instead';
