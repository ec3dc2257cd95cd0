/** The schema's complaints in words, each with its place in the file. */
import { findNodeAtLocation, type Node } from "jsonc-parser";
import { escapeLine } from "../../../infra/std/escape.ts";
import { type Issue, KINDS } from "../../model/issues.ts";
import { functionConfigSchema } from "../../model/manifest.ts";
import { ENVIRONMENTS } from "./environments.ts";
import { nearest } from "./suggest.ts";

/**
 * Something wrong in a text: where, what, and what would be right. Offset and length in UTF-16
 * units.
 */
export interface Problem {
  offset: number;
  length: number;
  message: string;
  hint?: string;
}

const FIELDS = [...Object.keys(functionConfigSchema.shape), ENVIRONMENTS];

/** The problems of one issue of the schema's: one problem, or one for each unknown key. */
export function explainIssue(root: Node, issue: Issue): Problem[] {
  const path = issue.path.map((part) => (typeof part === "symbol" ? String(part) : part));
  if (issue.code === "unrecognized_keys") return issue.keys.map((key) => unknownField(root, path, key));
  const field = path.join(".");
  if (issue.code === "invalid_key") {
    const allowed = issue.issues[0]?.message;
    return [
      {
        ...keyAt(root, path),
        message: `"${escapeLine(String(path.at(-1)))}" cannot be a name in "${path.slice(0, -1).join(".")}"`,
        ...hint(allowed),
      },
    ];
  }
  const node = findNodeAtLocation(root, path);
  if (!node) {
    const holder = findNodeAtLocation(root, path.slice(0, -1)) ?? root;
    const description = fieldDescription(field);
    return [{ offset: holder.offset, length: 1, message: `the field "${field}" is missing`, ...hint(description) }];
  }
  const where = { offset: node.offset, length: node.length };
  if (path.length === 0) return [{ ...where, message: `the file must hold an object, not ${kindOf(node)}` }];
  return [{ ...where, message: `"${field}" is not right: ${demand(issue, node)}` }];
}

function unknownField(root: Node, path: (string | number)[], key: string): Problem {
  const where = keyAt(root, [...path, key]);
  if (path.length > 0) return { ...where, message: `unknown field "${key}" in "${path.join(".")}"` };
  const guess = nearest(key, FIELDS);
  const allowed = `allowed are: ${FIELDS.join(", ")}`;
  return {
    ...where,
    message: `unknown field "${key}"`,
    hint: guess === null ? allowed : `did you mean "${guess}"? ${allowed}`,
  };
}

/** A sentence on what the schema wants at this place, and what is there instead. */
function demand(issue: Issue, node: Node): string {
  const given = kindOf(node);
  switch (issue.code) {
    case "invalid_type":
      return `it must be ${KINDS[issue.expected] ?? issue.expected}, not ${given}`;
    case "invalid_value":
      return `it must be one of ${issue.values.map((value) => JSON.stringify(value)).join(", ")}, not ${given}`;
    case "too_small":
      if (issue.origin === "array") return issue.message;
      return issue.origin === "string"
        ? `it needs at least ${issue.minimum} character`
        : `the least is ${issue.minimum}, and it is ${given}`;
    case "too_big":
      if (issue.origin === "array") return issue.message;
      return issue.origin === "string"
        ? `it may have ${issue.maximum} characters at most`
        : `the most is ${issue.maximum}, and it is ${given}`;
    case "invalid_union":
      return `${issue.message}, not ${given}`;
    default:
      return issue.message;
  }
}

function kindOf(node: Node): string {
  if (node.type === "number" || node.type === "boolean" || node.type === "null") return String(node.value);
  if (node.type === "string") return `the string ${JSON.stringify(node.value).slice(0, 60)}`;
  return node.type === "array" ? "an array" : "an object";
}

/** The place of a key, which the parser's own search does not give: it finds values. */
function keyAt(root: Node, path: (string | number)[]): { offset: number; length: number } {
  const key = findNodeAtLocation(root, path)?.parent?.children?.[0] ?? root;
  return { offset: key.offset, length: key.length };
}

function fieldDescription(field: string): string | undefined {
  return Object.hasOwn(functionConfigSchema.shape, field)
    ? functionConfigSchema.shape[field as keyof typeof functionConfigSchema.shape].description
    : undefined;
}

function hint(text: string | undefined): { hint?: string } {
  return text === undefined ? {} : { hint: text };
}
