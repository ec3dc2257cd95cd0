/**
 * How a function wants to be called, by its text: by the names of its parameters, which bundles
 * keep, and else by what it does with them. There is no other difference between `(request, env)`,
 * `(event, context)` and `(req, res)`.
 */
import type { HandlerKind } from "../../protocol/frames.ts";
import { isStreaming } from "./lambda/lambda-stream.ts";

// Captured before tenant code.
const { apply } = Reflect;
const { toString: functionText } = Function.prototype;

/** The kinds of exports; a server is none. */
export type ExportKind = Exclude<HandlerKind, "server">;

// esbuild numbers a name that another module of the bundle has as well: `res2`.
const EVENT = /^_*(?:event|evt)\d*$/i;
const CLOUD_EVENT = /^_*cloud_?event\d*$/i;
const RESPONSE = /^_*(?:res|resp|response|reply|rsp|outgoing|serverResponse)\d*$/i;
const CALLBACK = /^_*(?:callback|cb|done)\d*$/i;

/** Members of a parameter, as alternatives of a regular expression, by which its kind is told. */
interface Members {
  names: string;
  /** Members that count where they are called or set. */
  used?: string;
}

/** Of an event of API Gateway, or of another service of AWS. */
const EVENT_MEMBERS: Members = {
  names:
    "rawPath|rawQueryString|queryStringParameters|multiValueQueryStringParameters|multiValueHeaders|pathParameters|stageVariables|requestContext|httpMethod|isBase64Encoded|Records",
};
const CONTEXT_MEMBERS: Members = {
  names:
    "getRemainingTimeInMillis|awsRequestId|functionName|invokedFunctionArn|callbackWaitsForEmptyEventLoop|memoryLimitInMB",
  used: "(?:succeed|fail|done)\\s*\\(",
};
const RESPONSE_MEMBERS: Members = {
  names: "writeHead|setHeader|sendStatus",
  used: "(?:end|write|status|send|json|redirect|render)\\s*\\(|statusCode\\s*=[^=]",
};
/** Of a Request. */
const REQUEST_MEMBERS: Members = {
  names: "formData|arrayBuffer|bodyUsed",
  used: "headers\\s*\\.\\s*(?:get|has)\\s*\\(|(?:json|text|blob|bytes|clone)\\s*\\(",
};
/** Of an event of the format 1.0, which 2.0 has under other names; and what only 2.0 has. */
const OLD_MEMBERS: Members = { names: "httpMethod|path|resource|multiValueHeaders|multiValueQueryStringParameters" };
const NEW_MEMBERS = /\b(?:rawPath|rawQueryString|routeKey)\b|requestContext\s*\??\.\s*http\b/;

/** Most of a function's text that is looked at. */
const MAX_TEXT = 20_000;

/** The kind of a handler, or null when its text does not tell. */
export function kindOf(handler: object): ExportKind | null {
  const text = textOf(handler);
  if (isStreaming(handler)) return formatOf(text);
  const kind = kindByNames(text) ?? kindByUse(text);
  return kind === "lambda" ? formatOf(text) : kind;
}

/**
 * The format of the events that a Lambda handler reads, by its text: 2.0 unless it reads 1.0 alone.
 */
export function lambdaKindOf(handler: object): ExportKind {
  return formatOf(textOf(handler));
}

/** A function's text, as much of it as is looked at. */
export function textOf(handler: object): string {
  return apply(functionText, handler, []).slice(0, MAX_TEXT);
}

function kindByNames(text: string): ExportKind | null {
  const [first = "", second = "", third = ""] = parametersOf(text);
  if (CLOUD_EVENT.test(first)) return "cloudevent";
  if (EVENT.test(first)) return "lambda";
  if (RESPONSE.test(second)) return "node";
  return CALLBACK.test(third) ? "lambda" : null;
}

/** The kind, where what the function does with its parameters speaks for one alone. */
function kindByUse(text: string): ExportKind | null {
  const [first = "", second = "", third = ""] = parametersOf(text);
  const callsThird = isName(third) && matches(text, third, "\\s*\\(");
  const makesUrl = isName(first) && new RegExp(`new URL\\(\\s*${escaped(first)}\\.url\\s*\\)`).test(text);
  const isLambda = reads(text, first, EVENT_MEMBERS) || reads(text, second, CONTEXT_MEMBERS) || callsThird;
  const isFetch = reads(text, first, REQUEST_MEMBERS) || makesUrl;
  const isNode = reads(text, second, RESPONSE_MEMBERS);
  if (Number(isLambda) + Number(isFetch) + Number(isNode) !== 1) return null;
  if (isLambda) return "lambda";
  return isFetch ? "fetch" : "node";
}

function formatOf(text: string): ExportKind {
  const [first = ""] = parametersOf(text);
  return reads(text, first, OLD_MEMBERS) && !NEW_MEMBERS.test(text) ? "lambda-1.0" : "lambda";
}

/**
 * Whether a function reads one of these members of a parameter: by the parameter's name, or in the
 * pattern that takes it apart.
 */
export function reads(text: string, parameter: string, { names, used }: Members): boolean {
  if (parameter.startsWith("{")) return new RegExp(`[{,]\\s*(?:${names})\\s*[,:=}]`).test(parameter);
  const members = `(?:${names})(?![\\w$])${used === undefined ? "" : `|${used}`}`;
  return isName(parameter) && matches(text, parameter, `\\s*\\??\\.\\s*(?:${members})`);
}

function matches(text: string, name: string, pattern: string): boolean {
  return new RegExp(`(?<![\\w$.])${escaped(name)}${pattern}`).test(text);
}

/** A name as a regular expression. */
function escaped(name: string): string {
  return name.replaceAll("$", "\\$");
}

function isName(parameter: string): boolean {
  return /^[\w$]+$/.test(parameter);
}

/** A function's parameters by its text, each without its default: a name, or a pattern. */
export function parametersOf(text: string): string[] {
  const bare = /^(?:async\s+)?([\w$]+)\s*=>/.exec(text);
  if (bare !== null) return [bare[1] as string];
  const list = text.slice(text.indexOf("(") + 1);
  const parameters: string[] = [];
  let depth = 0;
  let parameter = "";
  for (const char of list.replace(/\/\*.*?\*\/|\/\/[^\n]*/gs, "")) {
    if (depth === 0 && (char === "," || char === ")")) {
      parameters.push(withoutDefault(parameter.trim()));
      parameter = "";
      if (char === ")") break;
      continue;
    }
    if ("([{".includes(char)) depth++;
    if (")]}".includes(char)) depth--;
    parameter += char;
  }
  return parameters;
}

function withoutDefault(parameter: string): string {
  return parameter.startsWith("{") ? parameter : (parameter.split("=", 1)[0] as string).trim();
}
