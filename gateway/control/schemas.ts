/** The shapes of the control API: they validate requests, and /v1/openapi.json is made of them. */
import { createRoute, type RouteConfig, z } from "@hono/zod-openapi";
import { ERRORS } from "../../functions/model/errors.ts";
import { OUTCOMES } from "../../functions/model/invocation.ts";
import { functionConfigSchema, NAME_PATTERN } from "../../functions/model/manifest.ts";
import { MAX_PATH_BYTES, MAX_SOURCE_FILES } from "../../functions/model/sources.ts";

export const errorSchema = z
  .object({
    error: z.object({
      code: z.enum(Object.keys(ERRORS) as [string, ...string[]]).openapi({ example: "FUNCTION_NOT_FOUND" }),
      message: z.string(),
      requestId: z.string(),
    }),
  })
  .openapi("Error");

export const nameParam = z.object({
  name: z
    .string()
    .regex(NAME_PATTERN, "1 to 63 of a-z, 0-9 and '-', neither first nor last a '-'")
    .openapi({ param: { name: "name", in: "path" }, example: "hello" }),
});

export const deploySchema = z
  .strictObject({
    config: functionConfigSchema,
    entry: z.string().min(1).max(MAX_PATH_BYTES).openapi({ description: "Path of the entry among the files." }),
    files: z
      .array(
        z.strictObject({
          path: z.string().openapi({ example: "src/index.ts" }),
          contentBase64: z.string().openapi({ format: "byte" }),
        }),
      )
      .min(1)
      .max(MAX_SOURCE_FILES),
  })
  .openapi("Deployment");

export const deployedSchema = z
  .object({
    name: z.string(),
    version: z.string(),
    url: z.url(),
    created: z.boolean().openapi({ description: "Whether the function is new." }),
    bundleBytes: z.int(),
    warnings: z.array(z.string()),
  })
  .openapi("Deployed");

export const functionSchema = z
  .object({
    name: z.string(),
    tenant: z.string(),
    url: z.url(),
    version: z.string(),
    config: functionConfigSchema,
    noTemplateReason: z.string().nullable().openapi({
      description:
        'Why there are no copies of the loaded module: each call of the isolation "invocation", and each instance of a module that is slow to load, loads it anew. null when there are copies, or none was wanted yet.',
    }),
    entry: z.string(),
    bundleBytes: z.int(),
    files: z.array(z.object({ path: z.string(), bytes: z.int() })),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .openapi("Function");

const outcomeSchema = z.enum(OUTCOMES).openapi("Outcome");

export const invocationSchema = z
  .object({
    id: z.string(),
    tenant: z.string(),
    functionName: z.string(),
    version: z.string(),
    outcome: outcomeSchema,
    error: z.object({ code: z.string(), message: z.string() }).optional(),
    status: z.int(),
    start: z.enum(["cold", "prewarmed", "forked", "warm"]),
    timing: z.object({ queueMs: z.number(), sandboxMs: z.number(), initMs: z.number(), handlerMs: z.number() }),
    cpuMs: z.number(),
    peakMemoryBytes: z.number(),
    startedAtMs: z.number(),
    endedAtMs: z.number(),
    traceId: z.string().optional(),
  })
  .openapi("Invocation");

const plainValue = z.union([z.string(), z.number(), z.boolean()]);

export const traceSchema = z
  .object({
    spans: z.array(
      z.object({
        traceId: z.string(),
        spanId: z.string(),
        parentSpanId: z.string().optional(),
        name: z.string(),
        kind: z.string(),
        service: z.string(),
        startMs: z.number(),
        endMs: z.number(),
        status: z.string(),
        statusMessage: z.string().optional(),
        attributes: z.record(z.string(), z.union([plainValue, z.array(plainValue)])),
      }),
    ),
  })
  .openapi("Trace");

/** Unix time in milliseconds, or a date and time of RFC 3339. */
const timeSchema = z
  .union([z.coerce.number().int().min(0), z.iso.datetime({ offset: true }).transform((text) => Date.parse(text))])
  .openapi({ type: "string", example: "2026-01-31T12:00:00Z" });

export const logsQuery = z.object({
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(5_000)
    .default(200)
    .openapi({ description: "Most entries, the latest ones." }),
  invocation: z.uuid().optional().openapi({ description: "Only of this invocation." }),
  since: timeSchema.optional().openapi({ description: "Only from this time on: Unix milliseconds or RFC 3339." }),
  follow: z.enum(["0", "1"]).default("0").openapi({ description: "1: stay, and send what comes." }),
});

/** Answers that every route of the control API can give. */
const failures = {
  401: jsonBody(errorSchema, "No valid API key."),
  503: jsonBody(errorSchema, "Redis or the workers are not reachable."),
};

/** A route that needs an API key, with the failures that every one of them knows. */
export function keyedRoute<const R extends RouteConfig>(route: R) {
  return createRoute({ ...route, security: [{ apiKey: [] }], responses: { ...failures, ...route.responses } });
}

/** A JSON body for a route's `responses` or `request`. */
export function jsonBody<const S extends z.ZodType>(schema: S, description: string) {
  return { description, content: { "application/json": { schema } } };
}
