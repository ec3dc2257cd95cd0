/**
 * Reading `sandpiper.jsonc`: JSON with comments, checked against the schema, every problem with its
 * place in the file.
 */
import { open } from "node:fs/promises";
import { join, relative } from "node:path";
import { findNodeAtLocation, type Node, type ParseError, type ParseErrorCode, parseTree } from "jsonc-parser";
import { MIB } from "../../../infra/std/bytes.ts";
import { plainIssues } from "../../model/issues.ts";
import { type FunctionConfig, functionConfigSchema } from "../../model/manifest.ts";
import { CliError, systemCodeOf } from "../failure.ts";
import type { Problem } from "./config-problems.ts";
import { ENVIRONMENTS, type Fault, readEnvironments, splitEnvironments } from "./environments.ts";
import { CONFIG_FILE } from "./file-names.ts";
import { lineAndColumn, sourceFrame } from "./source-frame.ts";

const MAX_CONFIG_BYTES = MIB;

export interface LoadedConfig {
  config: FunctionConfig;
  /**
   * The error for a field whose value is well formed and yet wrong, such as an entry that does not
   * exist.
   */
  wrongField(field: string | (string | number)[], message: string, hint?: string): CliError;
}

/**
 * Reads and checks the configuration in a directory. `cwd` only shortens the paths in messages.
 * @param environment the one of the file whose overlay counts, if any
 * @throws CliError of kind `config` that lists every problem with file, line, column and the source
 * line.
 */
export async function loadConfig(directory: string, cwd: string, environment?: string): Promise<LoadedConfig> {
  const file = join(directory, CONFIG_FILE);
  const shown = relative(cwd, file) || file;
  const text = await readConfigText(file, shown, directory);
  const fail = (problems: Problem[]) => configError(shown, text, problems);

  const syntaxErrors: ParseError[] = [];
  const root = parseTree(text, syntaxErrors, { allowTrailingComma: true });
  if (!root) throw fail([{ offset: 0, length: 1, message: 'the file is empty: it needs at least { "name": "..." }' }]);
  const syntaxProblem = syntaxErrors[0];
  if (syntaxProblem) throw fail([{ ...syntaxProblem, message: SYNTAX_MESSAGES[syntaxProblem.error] ?? "not JSON" }]);

  const keyProblems: Problem[] = [];
  const value = treeValue(root, keyProblems);
  if (keyProblems.length > 0) throw fail(keyProblems);
  const { base, environments } = splitEnvironments(value);
  const parsed = functionConfigSchema.safeParse(base);
  if (!parsed.success) throw fail(await explained(root, plainIssues(parsed.error.issues)));

  const { configs, faults } = readEnvironments(base as Record<string, unknown>, environments);
  if (faults.length > 0) throw fail(await explained(root, faults));
  const { $schema: _, ...plain } = parsed.data;
  const config = environment === undefined ? plain : configs.get(environment);
  if (config === undefined) throw noEnvironment(shown, environment ?? "", [...configs.keys()]);
  const places = environment === undefined ? [[]] : [[ENVIRONMENTS, environment], []];
  return {
    config,
    wrongField(field, message, hint) {
      const path = typeof field === "string" ? [field] : field;
      const found = places.map((place) => findNodeAtLocation(root, [...place, ...path]));
      const { offset, length } = found.find((node) => node !== undefined) ?? { offset: 0, length: 1 };
      return fail([{ offset, length, message, ...(hint === undefined ? {} : { hint }) }]);
    },
  };
}

/** Faults in words, which are loaded when there are some. */
async function explained(root: Node, faults: readonly Fault[]): Promise<Problem[]> {
  const { explainIssue } = await import("./config-problems.ts");
  return faults.flatMap((fault) => {
    if (!("sentence" in fault)) return explainIssue(root, fault);
    const { offset, length } = findNodeAtLocation(root, fault.path) ?? { offset: 0, length: 1 };
    return [{ offset, length, message: `"${fault.path.join(".")}" is not right: ${fault.sentence}` }];
  });
}

function noEnvironment(shown: string, name: string, names: readonly string[]): CliError {
  const hint = names.length === 0 ? `"${ENVIRONMENTS}" in it would have it` : `there are: ${names.join(", ")}`;
  return new CliError("config", `${shown} has no environment ${JSON.stringify(name)}`, {
    code: "NO_SUCH_ENVIRONMENT",
    hint,
  });
}

async function readConfigText(file: string, shown: string, directory: string): Promise<string> {
  try {
    await using handle = await open(file);
    const { size } = await handle.stat();
    if (size > MAX_CONFIG_BYTES) {
      throw new CliError("config", `${shown} has ${size} bytes; ${MAX_CONFIG_BYTES} are the most`, {
        code: "CONFIG_TOO_LARGE",
      });
    }
    return (await handle.readFile("utf8")).replace(/^\ufeff/, "");
  } catch (error) {
    if (error instanceof CliError) throw error;
    const missing = systemCodeOf(error) === "ENOENT" || systemCodeOf(error) === "ENOTDIR";
    const message = missing ? `there is no ${shown}` : `cannot read ${shown}`;
    throw new CliError("config", message, {
      code: missing ? "CONFIG_MISSING" : "CONFIG_UNREADABLE",
      cause: error,
      hint: missing
        ? `name the function's directory, or make one: sandpiper init ${relative(".", directory) || "."}`
        : `the system says: ${systemCodeOf(error) ?? String(error)}`,
    });
  }
}

function configError(shown: string, text: string, problems: Problem[]): CliError {
  const blocks = problems.map(({ offset, length, message, hint }) => {
    const { line, column } = lineAndColumn(text, offset);
    const block = `${shown}:${line}:${column}: ${message}\n${sourceFrame(text, offset, length)}`;
    return hint === undefined ? block : `${block}\n  ${hint}`;
  });
  return new CliError("config", blocks.join("\n\n"), { code: "CONFIG_INVALID" });
}

/**
 * The value of a syntax tree. Not the parser's own conversion: that lets the last of two equal keys
 * win in silence, and lets a key `__proto__` change the object's prototype.
 */
function treeValue(node: Node, problems: Problem[]): unknown {
  if (node.type === "array") return (node.children ?? []).map((child) => treeValue(child, problems));
  if (node.type !== "object") return node.value;
  const object: Record<string, unknown> = {};
  for (const property of node.children ?? []) {
    const [key, value] = property.children ?? [];
    if (!key || !value) continue;
    const name = String(key.value);
    const where = { offset: key.offset, length: key.length };
    if (name === "__proto__") problems.push({ ...where, message: "a field cannot be called __proto__" });
    else if (Object.hasOwn(object, name)) problems.push({ ...where, message: `"${name}" is given twice` });
    else object[name] = treeValue(value, problems);
  }
  return object;
}

/**
 * The parser's error codes in words; the numbers are jsonc-parser's const enum, which cannot be
 * imported as values.
 */
const SYNTAX_MESSAGES: Readonly<Partial<Record<ParseErrorCode, string>>> = {
  1: "this is no JSON value",
  2: "this is no number",
  3: "a field's name in double quotes is expected here",
  4: "a value is expected here",
  5: "a ':' is expected here",
  6: "a ',' is expected here",
  7: "a '}' is expected here",
  8: "a ']' is expected here",
  9: "the end of the file is expected here",
  11: "this comment has no end",
  12: "this string has no end",
  13: "this number has no end",
  14: "this is no unicode escape: it is \\u and four hex digits",
  15: "there is no such escape in JSON",
  16: "this character cannot stand in a JSON string",
};
