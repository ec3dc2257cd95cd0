/** Environments of a function in its sandpiper.jsonc: what differs there is laid over the rest. */

import { type Issue, plainIssues } from "../../model/issues.ts";
import { type FunctionConfig, functionConfigSchema, NAME_PATTERN } from "../../model/manifest.ts";
import { CliError } from "../failure.ts";

/** The field of the file that holds them. */
export const ENVIRONMENTS = "environments";

type Values = Readonly<Record<string, unknown>>;
/** A fault: an issue of the schema's, or a sentence about a place. */
export type Fault = Issue | { path: (string | number)[]; sentence: string };

const isObject = (value: unknown): value is Values =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The file's value without its environments, and these. */
export function splitEnvironments(value: unknown): { base: unknown; environments: unknown } {
  if (!isObject(value)) return { base: value, environments: undefined };
  const { [ENVIRONMENTS]: environments, ...base } = value;
  return { base, environments };
}

/**
 * The configuration in each environment, by its name. A function in an environment is one of its
 * own, `<name>-<environment>` unless the environment gives a name, so that it has its own secrets,
 * log and versions. @param base is valid by itself
 */
export function readEnvironments(
  base: Values,
  environments: unknown,
): { configs: Map<string, FunctionConfig>; faults: Fault[] } {
  const [configs, faults] = [new Map<string, FunctionConfig>(), [] as Fault[]];
  if (environments === undefined) return { configs, faults };
  if (!isObject(environments)) {
    const sentence = "it must be an object, with the name of an environment for each key";
    return { configs, faults: [{ path: [ENVIRONMENTS], sentence }] };
  }
  for (const [name, overlay] of Object.entries(environments)) {
    const read = readOne(base, name, overlay);
    if ("config" in read) configs.set(name, read.config);
    else faults.push(...read.faults);
  }
  return { configs, faults };
}

function readOne(base: Values, name: string, overlay: unknown): { config: FunctionConfig } | { faults: Fault[] } {
  const path = [ENVIRONMENTS, name];
  const fault = (sentence: string) => ({ faults: [{ path, sentence }] });
  if (!NAME_PATTERN.test(name)) return fault("its name has 1 to 63 of a-z, 0-9 and '-', neither first nor last a '-'");
  if (!isObject(overlay)) return fault("it must be an object, with the fields that differ there");
  if ("$schema" in overlay) return fault('"$schema" is for the whole file');
  const env = isObject(overlay.env) && isObject(base.env) ? { env: { ...base.env, ...overlay.env } } : {};
  const merged = { ...base, name: `${base.name}-${name}`, ...overlay, ...env };
  const { success, data, error } = functionConfigSchema.safeParse(merged);
  if (!success) return { faults: plainIssues(error.issues).map((issue) => placed(issue, path, overlay)) };
  const { $schema: _, ...config } = data;
  return { config };
}

/** An issue where the overlay causes it: at its field there, else at the whole overlay. */
function placed(issue: Issue, path: string[], overlay: Values): Fault {
  const isThere = issue.path.length === 0 || Object.hasOwn(overlay, String(issue.path[0]));
  if (isThere) return { ...issue, path: [...path, ...issue.path] };
  return { path, sentence: `with it, "${issue.path.join(".")}" is not right: ${issue.message}` };
}

/**
 * The configuration with further variables, as `NAME=value` each.
 * @throws CliError of kind `usage`
 */
export function withVariables(config: FunctionConfig, words: readonly string[]): FunctionConfig {
  if (words.length === 0) return config;
  const env = { ...config.env };
  for (const word of words) {
    const at = word.indexOf("=");
    if (at <= 0) throw wrongVariable(`${JSON.stringify(word)} is no variable`);
    env[word.slice(0, at)] = word.slice(at + 1);
  }
  const { success, data, error } = functionConfigSchema.safeParse({ ...config, env });
  if (success) {
    const { $schema: _, ...checked } = data;
    return checked;
  }
  const [issue] = plainIssues(error.issues);
  throw wrongVariable(`${String(issue?.path.at(-1) ?? "a variable")} cannot be set: ${issue?.message}`);
}

function wrongVariable(message: string): CliError {
  return new CliError("usage", message, { code: "USAGE", hint: "such as --var GREETING=hello" });
}
