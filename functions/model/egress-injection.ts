/**
 * Header fields that the relay puts into a function's requests to one host, so that the function
 * never holds what is secret in them.
 */
import { z } from "zod";
import { DEFAULT_PORT, type EgressRule } from "./egress.ts";

/** The fields of an entry beside its rule. */
export interface Injection {
  /** Values by names of header fields; `{{secrets.NAME}}` stands for a secret. */
  inject?: Record<string, string> | undefined;
  /** The only methods of requests that pass; all when missing. */
  methods?: string[] | undefined;
  /** Beginnings of the only paths that pass; all when missing. */
  paths?: string[] | undefined;
}

const MAX_FIELDS = 16;
const MAX_VALUE_LENGTH = 8_192;
const MAX_LIST = 32;
const MAX_PATH_LENGTH = 1_024;

/** A token of RFC 9110, section 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Fields of the connection, and those that say where a request ends and whom it is for. */
const OF_CONNECTION = new Set(
  `connection content-length expect host keep-alive proxy-authorization proxy-connection te trailer transfer-encoding
  upgrade`.split(/\s+/),
);
const REFERENCE = /\{\{\s*secrets\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}/g;

const fieldName = z
  .string()
  .max(256)
  .superRefine((name, context) => {
    if (TOKEN.test(name) && !OF_CONNECTION.has(name.toLowerCase())) return;
    const isToken = TOKEN.test(name);
    const message = isToken
      ? "it belongs to the connection, which the relay makes itself"
      : "the name of a header field has letters, digits and '-'";
    context.addIssue({ code: "custom", message });
  });

const fieldValue = z
  .string()
  .max(MAX_VALUE_LENGTH)
  .superRefine((value, context) => {
    const message = valueProblem(value);
    if (message !== null) context.addIssue({ code: "custom", message });
  });

/** Schemas of the fields of an entry beside `to`. */
export const injectionFields = {
  inject: z
    .record(fieldName, fieldValue)
    .refine((fields) => Object.keys(fields).length > 0, "name a header field at least, or leave inject out")
    .refine((fields) => Object.keys(fields).length <= MAX_FIELDS, `at most ${MAX_FIELDS} header fields`)
    .refine(hasEachOnce, "a header field is there twice: upper and lower case are the same")
    .optional()
    .meta({
      description:
        "Header fields that are put into each request on its way out, whatever the function gives; {{secrets.NAME}} stands for a secret, which the function does not get.",
      examples: [{ authorization: "Bearer {{secrets.STRIPE}}" }],
    }),
  methods: z
    .array(
      z
        .string()
        .max(32)
        .regex(/^[A-Z]+$/, "a method in upper case, as in POST")
        .refine((method) => method !== "CONNECT", "CONNECT never passes: requests alone are looked at"),
    )
    .min(1, "name a method at least, or leave methods out")
    .max(MAX_LIST, `at most ${MAX_LIST} methods`)
    .optional()
    .meta({ description: "The only methods of requests that pass." }),
  paths: z
    .array(
      z
        .string()
        .max(MAX_PATH_LENGTH)
        .regex(/^\/[\x21-\x7e]*$/, "a path begins with '/' and has no spaces")
        .superRefine((path, context) => {
          const message = pathProblem(path);
          if (message !== null) context.addIssue({ code: "custom", message });
        }),
    )
    .min(1, "name a path at least, or leave paths out")
    .max(MAX_LIST, `at most ${MAX_LIST} paths`)
    .optional()
    .meta({ description: "Beginnings of the only paths of requests that pass, as in /v1/." }),
};

/** The fault of an entry as a whole, and the field that has it; null when there is none. */
export function injectionProblem(
  { to, ports }: EgressRule,
  { inject, methods, paths }: Injection,
): { path: string[]; message: string } | null {
  if (inject === undefined) {
    const field = methods !== undefined ? "methods" : "paths";
    if (methods === undefined && paths === undefined) return null;
    return { path: [field], message: "only requests that something is injected into are looked at; add inject" };
  }
  if (to.kind === "public") return { path: ["to"], message: "nothing is injected for public: name the one host" };
  if (to.kind !== "name") {
    return { path: ["to"], message: "what is injected goes to one host by its name, as in api.example.com" };
  }
  if (ports === "any" || ports.some((port) => port !== DEFAULT_PORT)) {
    return { path: ["to"], message: "requests are looked into on port 443 alone, where they come over TLS" };
  }
  return null;
}

/** An injection in one form for all ways to write the same; null for none. */
export function canonicalInjection({ inject, methods, paths }: Injection): Injection | null {
  if (inject === undefined) return null;
  const fields = Object.entries(inject).map(([name, value]): [string, string] => [name.toLowerCase(), value]);
  return {
    inject: Object.fromEntries(fields.sort(([a], [b]) => (a < b ? -1 : 1))),
    ...(methods && { methods: [...new Set(methods)].sort() }),
    ...(paths && { paths: [...new Set(paths)].sort() }),
  };
}

/** Names of the secrets that values of an injection stand for. */
export function secretsIn({ inject = {} }: Injection): string[] {
  return Object.values(inject).flatMap((value) => [...value.matchAll(REFERENCE)].map(([, name = ""]) => name));
}

/** The value of a header field, with secrets in the place of their names. */
export function withSecrets(value: string, secrets: ReadonlyMap<string, string>): string {
  return value.replace(REFERENCE, (_, name: string) => secrets.get(name) ?? "");
}

function hasEachOnce(fields: Record<string, string>): boolean {
  const names = Object.keys(fields);
  return new Set(names.map((name) => name.toLowerCase())).size === names.length;
}

/** Whether no request would pass by a path, and why; null otherwise. */
function pathProblem(path: string): string | null {
  if (/[?#]/.test(path)) return "a path has no query: a request passes whatever its query is";
  if (path.endsWith("*")) return "a path is the beginning of those that pass, and needs no '*' at its end";
  const isTwofold = /\/\/|\\|%(?:2e|2f|5c)/i.test(path) || path.split("/").some((part) => /^\.{1,2}$/.test(part));
  if (isTwofold) return "no such path passes, as servers read it in different ways: leave '//', '..' and the like out";
  return null;
}

function valueProblem(value: string): string | null {
  if (!/^[\x20-\x7e]*$/.test(value)) return "the value of a header field is ASCII without line breaks";
  if (value.trim() !== value) return "the value of a header field has no space at either end";
  if (!value.replace(REFERENCE, "").includes("{{")) return null;
  return "what stands between {{ and }} is secrets. and a secret's name, as in {{secrets.STRIPE}}";
}
