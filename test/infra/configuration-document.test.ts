/**
 * docs/CONFIGURATION.md against the code: each variable stands under the service that reads it,
 * with its default.
 */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, test } from "node:test";
import { type Config, loadConfig } from "../../infra/config.ts";
import { parseSource } from "../tidy/source.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const DOCUMENT = readFileSync(join(ROOT, "docs/CONFIGURATION.md"), "utf8");

interface Row {
  section: string;
  name: string;
  fallback: string;
}

/** Rows of the tables, each with the heading that it stands below. */
function rowsOf(markdown: string): Row[] {
  return markdown.split(/^## /m).flatMap((part) => {
    const section = part.slice(0, part.indexOf("\n"));
    return [...part.matchAll(/^\| `([A-Z_]+)` \| (.*?) \|/gm)].map(([, name = "", fallback = ""]) => ({
      section,
      name,
      fallback,
    }));
  });
}

/** Code of a service, without comments. */
function codeOf(...patterns: string[]): string {
  const paths = patterns.flatMap((pattern) => globSync(pattern, { cwd: ROOT }));
  assert.ok(paths.length > 0, `${patterns} name no file`);
  return paths.map((path) => parseSource(path, readFileSync(join(ROOT, path), "utf8")).code).join("\n");
}

const GATEWAY = codeOf("gateway/**/*.ts");
const WORKER = codeOf("worker/**/*.ts");
const COMMAND_LINE = codeOf("functions/cli/**/*.{ts,mjs}");
const TELEMETRY = codeOf("infra/telemetry/*.ts");

/** Whether code takes a field out of the configuration, by its name or in a pattern. */
function readsField(code: string, field: string): boolean {
  const byName = `\\b(?:config|limits|worker)\\.${field}\\b`;
  const inPattern = `\\{[^{}]*\\b${field}\\b[^{}]*\\}\\s*(?::\\s*\\w*(?:Config|Limits)\\b|=\\s*(?:config|worker)\\b)`;
  return new RegExp(`${byName}|${inPattern}`).test(code);
}

type Fields = Record<string, unknown>;
const fieldsOf = ({ worker, ...shared }: Config): Fields => ({ ...shared, ...worker });

/** Variables that a load of the configuration asks for. */
function variablesRead(): string[] {
  const names = new Set<string>();
  loadConfig(new Proxy({}, { get: (_, name) => void names.add(String(name)) }));
  return [...names].sort();
}

const SAMPLES = [
  "7",
  "70000",
  "99999999",
  "1000",
  "65000",
  "99999999",
  "700001",
  "/sample",
  "unix:///sample",
  "http://sample",
  "exec",
  "tenant",
  "none",
  "evicting",
  "landlock",
  "10.0.0.1",
  "all",
  "127.0.0.1:1",
];

/** Fields of the configuration that a variable changes. */
function fieldsOfVariable(name: string): string[] {
  const before = fieldsOf(loadConfig({}));
  for (const sample of SAMPLES) {
    try {
      const after = fieldsOf(loadConfig({ [name]: sample }));
      const changed = Object.keys(before).filter((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]));
      if (changed.length > 0) return changed;
    } catch {
      // The variable takes no such value: the next sample may fit.
    }
  }
  throw new Error(`no sample changes what ${name} sets: add one that does`);
}

/** The heading that a variable belongs below, by who reads what it sets. */
function sectionOf(name: string): string {
  const fields = fieldsOfVariable(name);
  const [gateway, worker] = [GATEWAY, WORKER].map((code) => fields.some((field) => readsField(code, field)));
  if (gateway && worker) return "Gateway and worker";
  return gateway ? "Gateway" : worker ? "Worker" : "`npm start`";
}

/**
 * The default in the form of the document; null where the document has words for what depends on
 * the machine.
 */
function fallbackOf(name: string): string | null {
  const [field = ""] = fieldsOfVariable(name);
  const value = fieldsOf(loadConfig({}))[field];
  if (Array.isArray(value)) return value.length === 0 ? "none" : `\`${value.join(",")}\``;
  if (typeof value === "string" && !value.includes("/")) return `\`${value}\``;
  return typeof value === "number" ? String(value) : null;
}

/** Their defaults depend on the machine. */
const ON_THE_MACHINE = new Set(["SANDPIPER_MEMORY_BUDGET_BYTES", "SANDPIPER_WORKER_ID"]);
/** Variables of every program on a machine, and one that `doctor` only looks at. */
const COMMON = new Set(["PATH", "LANG", "LC_ALL", "LC_CTYPE", "REDIS_URL"]);
const SERVICES = ["Gateway and worker", "Gateway", "Worker", "`npm start`"];

const rows = rowsOf(DOCUMENT);
const ofServices = rows.filter(({ section }) => SERVICES.includes(section));

describe("docs/CONFIGURATION.md", () => {
  test("has each variable once", () => {
    const names = rows.map(({ name }) => name);
    assert.deepEqual(names, [...new Set(names)]);
  });

  test("lists exactly the variables that services read", () => {
    const documented = ofServices.map(({ name }) => name).sort();
    assert.deepEqual(documented, [...variablesRead(), "SANDPIPER_LOG_LEVEL"].sort());
  });

  test("lists each under the service that reads it", () => {
    const listed = ofServices.filter(({ name }) => name !== "SANDPIPER_LOG_LEVEL");
    assert.deepEqual(
      listed.map(({ name, section }) => `${section}: ${name}`),
      listed.map(({ name }) => `${sectionOf(name)}: ${name}`),
    );
  });

  test("has the defaults", () => {
    const compared = ofServices
      .filter(({ name }) => name !== "SANDPIPER_LOG_LEVEL" && !ON_THE_MACHINE.has(name))
      .map(({ name, fallback }) => ({ name, fallback, expected: fallbackOf(name) }))
      .filter(({ expected }) => expected !== null);
    assert.deepEqual(
      compared.map(({ name, fallback }) => `${name}: ${fallback}`),
      compared.map(({ name, expected }) => `${name}: ${expected}`),
    );
    assert.ok(compared.length > 15, "few defaults were compared");
  });

  test("lists exactly what the command line reads", () => {
    const read = new Set([...COMMAND_LINE.matchAll(/\benv\??\.([A-Z][A-Z_]+)\b/g)].map(([, name]) => String(name)));
    const documented = rows.filter(({ section }) => section === "Command line").map(({ name }) => name);
    assert.deepEqual(documented.sort(), [...read].filter((name) => !COMMON.has(name)).sort());
  });

  test("names every variable of OpenTelemetry that the code reads", () => {
    const read = new Set(TELEMETRY.match(/\bOTEL_[A-Z_]+/g));
    assert.deepEqual(
      [...read].filter((name) => !DOCUMENT.includes(`\`${name}\``)),
      [],
    );
  });
});
