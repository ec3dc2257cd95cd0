import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { LOADERS } from "../../../functions/bundler/options.ts";
import { MAX_ENV_VARIABLES } from "../../../functions/model/environment.ts";
import {
  configJsonSchema,
  functionConfigSchema,
  HANDLER_KINDS,
  MEMORY_CLASSES_MIB,
} from "../../../functions/model/manifest.ts";
import { HANDLER_KINDS as RUNTIME_KINDS } from "../../../sandbox-core/protocol/frames.ts";

const accepts = (config: unknown) => functionConfigSchema.safeParse(config).success;

describe("the configuration's schema", () => {
  it("fills in the defaults", () => {
    assert.deepEqual(functionConfigSchema.parse({ name: "a" }), {
      name: "a",
      entry: "index.ts",
      memoryMiB: 128,
      isolation: "instance",
      timeoutMs: 10_000,
      env: {},
    });
  });

  it("accepts names that may stand in URLs and keys, and no others", () => {
    for (const name of ["a", "a-b", "0", "a".repeat(63)]) assert.ok(accepts({ name }), name);
    for (const name of ["", "-a", "a-", "A", "a_b", "a.b", "a/b", "a:b", "a b", "a\n", "a".repeat(64), "ä"]) {
      assert.ok(!accepts({ name }), name);
    }
  });

  it("accepts patterns that stay below the function, and names of packages", () => {
    for (const include of [[], ["*.html", "views/**", "!views/a", "[id].html"]])
      assert.ok(accepts({ name: "a", include }));
    for (const pattern of ["", "/etc/*", "../x", "a/../../b", "!../x", "a\\b", "x".repeat(257)])
      assert.ok(!accepts({ name: "a", include: [pattern] }), pattern);
    assert.ok(!accepts({ name: "a", include: Array(65).fill("a") }));
    assert.ok(!accepts({ name: "a", include: "views/**" }));
    for (const external of ["pg-native", "@scope/name.js"]) assert.ok(accepts({ name: "a", external: [external] }));
    for (const external of ["", "*", "./a", "a/b", "@a", "a b", "a=b"])
      assert.ok(!accepts({ name: "a", external: [external] }));
  });

  it("accepts every memory class and nothing between", () => {
    for (const memoryMiB of MEMORY_CLASSES_MIB) assert.ok(accepts({ name: "a", memoryMiB }));
    for (const memoryMiB of [0, 63, 129, 4096, "128", Number.NaN]) assert.ok(!accepts({ name: "a", memoryMiB }));
  });

  it("accepts the name of an export and the kinds that there are, and nothing else", () => {
    for (const handler of ["hello", "default", "$a_1", "a-b"]) assert.ok(accepts({ name: "a", handler }), handler);
    for (const handler of ["", "index.handler", "-a", "1a", "__proto__", "afterRestore", "a".repeat(129), 1]) {
      assert.ok(!accepts({ name: "a", handler }), String(handler));
    }
    assert.deepEqual(HANDLER_KINDS, RUNTIME_KINDS);
    for (const kind of HANDLER_KINDS) assert.ok(accepts({ name: "a", kind }), kind);
    for (const kind of ["", "lambda-2.0", "express", null]) assert.ok(!accepts({ name: "a", kind }), String(kind));
  });

  it("bounds the time limit", () => {
    for (const timeoutMs of [1, 900_000]) assert.ok(accepts({ name: "a", timeoutMs }));
    for (const timeoutMs of [0, -1, 1.5, 900_001, Number.POSITIVE_INFINITY])
      assert.ok(!accepts({ name: "a", timeoutMs }));
  });

  it("bounds the environment: names, values, number", () => {
    const variables = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`V${i}`, ""]));
    assert.ok(accepts({ name: "a", env: variables(MAX_ENV_VARIABLES) }));
    assert.ok(!accepts({ name: "a", env: variables(MAX_ENV_VARIABLES + 1) }));
    assert.ok(!accepts({ name: "a", env: { "A-B": "" } }));
    assert.ok(!accepts({ name: "a", env: { A: 1 } }));
    assert.ok(!accepts({ name: "a", env: { A: "a\0b" } }));
    assert.ok(!accepts({ name: "a", env: { A: "x".repeat(32_769) } }));
  });

  it("lets a key __proto__ change nothing", () => {
    assert.ok(!accepts(JSON.parse('{"name":"a","__proto__":{"memoryMiB":1}}')));
    const { env } = functionConfigSchema.parse(JSON.parse('{"name":"a","env":{"__proto__":"x","A":"1"}}'));
    assert.deepEqual(Object.entries(env), [["A", "1"]]);
    assert.equal(Object.getPrototypeOf(env), Object.prototype);
  });

  it("knows no other fields", () => {
    assert.ok(!accepts({ name: "a", memory: 128 }));
  });
});

describe("the JSON schema for editors", () => {
  const schema = configJsonSchema() as {
    required: string[];
    additionalProperties: boolean;
    properties: Record<string, { description?: string; enum?: number[] }>;
  };

  it("describes every field, and requires only the name", () => {
    const fields = [...Object.keys(functionConfigSchema.shape), "environments"];
    assert.deepEqual(Object.keys(schema.properties).sort(), fields.sort());
    for (const [field, { description }] of Object.entries(schema.properties)) assert.ok(description, field);
    assert.deepEqual(schema.required, ["name"]);
    assert.equal(schema.additionalProperties, false);
    assert.deepEqual(schema.properties.memoryMiB?.enum, [...MEMORY_CLASSES_MIB]);
  });
});

describe("docs/FUNCTIONS.md", () => {
  const docs = readFileSync(join(import.meta.dirname, "../../../docs/FUNCTIONS.md"), "utf8");

  it("describes every field in the schema's words", () => {
    const { properties } = configJsonSchema() as { properties: Record<string, { description: string }> };
    for (const [field, { description }] of Object.entries(properties)) {
      assert.ok(docs.includes(`| \`${field}\` | ${description}`), field);
    }
  });

  it("names every ending that can be imported", () => {
    for (const loader of ["text", "binary"]) {
      const endings = Object.entries(LOADERS).flatMap(([ending, own]) => (own === loader ? [`\`${ending}\``] : []));
      assert.ok(docs.includes(`| ${endings.join(" ")} |`), loader);
    }
  });
});
