/**
 * The shapes of the control API, which whoever serves or uses it takes its types from. They
 * validate requests in the gateway and answers in its clients, and /v1/openapi.json is made of
 * them.
 */
import { z } from "zod";
import { MAX_INCLUDED_FILES } from "../model/bundling.ts";
import { ERRORS } from "../model/error-table.ts";
import { functionConfigSchema } from "../model/manifest.ts";
import { MAX_PATH_BYTES, MAX_SOURCE_FILES, pathProblem } from "../model/sources.ts";
import { autoSchema, messageSchema, stickySchema, tagSchema } from "./versions.ts";

export { nameParam } from "./name.ts";

/** The answer to whatever fails. A client may meet codes of a newer gateway. */
export const errorSchema = z
  .object({
    error: z.object({
      code: z.string().meta({ enum: Object.keys(ERRORS), example: "FUNCTION_NOT_FOUND" }),
      message: z.string(),
      requestId: z.string(),
      quota: z
        .object({ name: z.string(), limit: z.number(), used: z.number() })
        .optional()
        .meta({ description: "The quota that is reached." }),
    }),
  })
  .meta({ id: "Error" });

/** The answer to an event whose function failed: what it threw, in Lambda's words. */
export const thrownSchema = errorSchema
  .extend({
    errorType: z.string().optional(),
    errorMessage: z.string().optional(),
    trace: z.array(z.string()).optional(),
  })
  .meta({ id: "EventError" });

const sha256Schema = z
  .string()
  .regex(/^[0-9a-f]{64}$/, "64 lower-case hex digits")
  .meta({ description: "SHA-256 of the file's bytes." });

/** Source files of which a client asks whether the tenant's store has them. */
export const sourcesAskedSchema = z
  .strictObject({ sha256: z.array(sha256Schema).max(MAX_SOURCE_FILES) })
  .meta({ id: "SourcesAsked" });

/** The answer: those that are to be uploaded before a deployment can name them. */
export const sourcesMissingSchema = z.object({ missing: z.array(sha256Schema) }).meta({ id: "SourcesMissing" });

/** An upload: configuration and sources. */
export const deploymentSchema = z
  .strictObject({
    config: functionConfigSchema,
    entry: z.string().min(1).max(MAX_PATH_BYTES).meta({ description: "Path of the entry among the files." }),
    directory: z
      .string()
      .max(MAX_PATH_BYTES)
      .refine((path) => path === "" || pathProblem(path) === null, "it is no path of a directory among the files")
      .default("")
      .meta({ description: "The function's own directory among the files; the root of them if empty." }),
    included: z
      .array(z.string())
      .max(MAX_INCLUDED_FILES)
      .default([])
      .meta({ description: "Paths of files that the function finds beside its bundle, below its directory." }),
    files: z
      .array(
        z
          .strictObject({
            path: z.string().meta({ example: "src/index.ts" }),
            contentBase64: z.string().optional().meta({ format: "byte" }),
            sha256: sha256Schema.optional(),
          })
          .refine(
            ({ contentBase64, sha256 }) => (contentBase64 === undefined) !== (sha256 === undefined),
            "give either contentBase64 or sha256",
          ),
      )
      .min(1)
      .max(MAX_SOURCE_FILES)
      .meta({ description: "Each with its content, or with the SHA-256 of a file that was uploaded before." }),
    check: z.boolean().default(true).meta({
      description:
        "Whether the version is loaded in a sandbox before it goes live. One that does not load is not deployed then.",
    }),
    message: messageSchema.optional(),
    tag: tagSchema.optional(),
    canary: z
      .strictObject({
        percent: z.int().min(1).max(99),
        sticky: stickySchema.nullable().default(null),
        auto: autoSchema.optional(),
      })
      .optional()
      .meta({
        description:
          "Gives the version this share of calls, beside the one that is live. A function's first version is live at once.",
      }),
  })
  .meta({ id: "Deployment" });
/** A deployment as a client sends it; fields with a default may lack. */
export type Deployment = z.input<typeof deploymentSchema>;
/** A deployment as the gateway has it, defaults filled in. */
export type CheckedDeployment = z.output<typeof deploymentSchema>;

const handlerSchema = z.string().nullable().meta({
  description: "The handler that was found, in words; null when the version was never loaded to look.",
  example: "lambda (hello)",
});
/** Where a function can be called. */
const urls = {
  url: z.url().meta({ description: "On the host of the function's own, where there is one." }),
  sharedUrl: z.url().meta({ description: "Below /fn/, on the host that all functions share." }),
};

/** The header field by which whoever holds a function's name deploys to it and deletes it. */
export const HOLDER_FIELD = "x-sandpiper-holder";

/** The holder of a name, when a request is the holder's. */
export const holderHeader = z.object({
  [HOLDER_FIELD]: z.uuid().optional().meta({ description: "Who holds the name; see its hold." }),
});

/** A wish to hold a function's name. */
export const holdWishSchema = z
  .strictObject({
    holder: z.uuid().meta({ description: "Made up by whoever holds the name, and told to nobody else." }),
    ttlMs: z.int().min(1_000).max(600_000).meta({
      description: "For how long, unless the wish is sent again. Then the function is gone with its versions.",
    }),
  })
  .meta({ id: "HoldWish" });
export type HoldWish = z.output<typeof holdWishSchema>;

/** A hold on a function's name. */
export const holdSchema = z
  .object({
    name: z.string(),
    deployed: z.boolean().meta({ description: "Whether the holder deployed a version to it." }),
  })
  .meta({ id: "Hold" });
export type Hold = z.output<typeof holdSchema>;

const addedAndRemoved = z.object({ added: z.array(z.string()), removed: z.array(z.string()) });

/** The result of a deployment. */
export const deployedSchema = z
  .object({
    name: z.string(),
    version: z.string(),
    ...urls,
    versionUrl: z.url().nullable().default(null).meta({ description: "Where this version alone is called." }),
    percent: z.int().default(100).meta({ description: "The share of calls that it gets." }),
    created: z.boolean().meta({ description: "Whether the function is new." }),
    bundleBytes: z.int(),
    handler: handlerSchema,
    warnings: z.array(z.string()),
    egress: addedAndRemoved
      .default({ added: [], removed: [] })
      .meta({ description: "Rules of `egress` that the version before had not, and those that it had." }),
    contents: z
      .object({
        packages: z.array(z.object({ name: z.string().nullable(), bytes: z.int() })),
        others: z.object({ count: z.int(), bytes: z.int() }),
        builtins: z.array(z.string()),
      })
      .nullable()
      .default(null)
      .meta({
        description:
          "What the bundle is made of: bytes by package, the largest first, those beyond them together, and modules of the runtime that it imports. The name null is the function's own files. null for a version that was built before this was told.",
      }),
    changes: z
      .object({
        since: z.string(),
        files: z.object({ added: z.int(), changed: z.int(), removed: z.int() }),
        config: z.array(z.string()),
        env: addedAndRemoved.extend({ changed: z.boolean() }),
        packages: addedAndRemoved,
        builtins: addedAndRemoved,
      })
      .nullable()
      .default(null)
      .meta({
        description:
          "What is another than in the version `since`, which was live: numbers of source files, fields of the configuration, names of variables, and whether one has another value where nothing else changed, packages, modules of the runtime. null where nothing was live, or this version was.",
      }),
  })
  .meta({ id: "Deployed" });
export type Deployed = z.output<typeof deployedSchema>;

/** A deployed function. The configuration may have fields of a newer gateway. */
export const functionSchema = z
  .object({
    name: z.string(),
    tenant: z.string(),
    ...urls,
    version: z.string(),
    config: z.object(functionConfigSchema.shape),
    noTemplateReason: z.string().nullable().meta({
      description:
        'Why there are no copies of the loaded module: each call of the isolation "invocation", and each instance of a module that is slow to load, loads it anew. null when there are copies, or none was wanted yet.',
    }),
    warm: z
      .object({
        ...{ wanted: z.int(), ready: z.int(), problem: z.string().nullable() },
        next: z.object({ at: z.iso.datetime(), count: z.int() }).nullable().default(null),
      })
      .nullable()
      .default(null)
      .meta({
        description:
          "Instances that all workers keep warm for `minInstances`: how many they should, how many are there, and why there are fewer. `next`: when another number counts by its times, and which; in the answer for one function alone. null when the function asks for none.",
      }),
    reservedSlots: z.int().nullable().default(null).meta({
      description:
        "Slots of all workers that are kept for `concurrency.reserved`: fewer than it says where all that is reserved would be more than half of them. null when the function reserves none.",
    }),
    held: z.boolean().default(false).meta({
      description: "Whether the function ends with the process that holds its name, such as `sandpiper dev`.",
    }),
    domains: z
      .array(z.object({ name: z.string(), alias: z.string().nullable(), proven: z.boolean() }))
      .default([])
      .meta({ description: "Domains that are bound to it; in the answer for one function alone." }),
    routes: z
      .array(z.object({ route: z.string(), proven: z.boolean() }))
      .default([])
      .meta({ description: "Its routes, and whether their domains are proven; in the answer for one function alone." }),
    entry: z.string(),
    handler: handlerSchema,
    warnings: z
      .array(z.string())
      .meta({ description: "The bundler's, and what the module has and does not get here." }),
    bundleBytes: z.int(),
    files: z.array(z.object({ path: z.string(), bytes: z.int() })),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .meta({ id: "Function" });
export type FunctionInfo = z.output<typeof functionSchema>;

/** All functions of a tenant. */
export const functionListSchema = z.object({ functions: z.array(functionSchema) });

const fileCountSchema = z.object({ files: z.int(), bytes: z.int() });

/** The result of a collection. */
export const collectionSchema = z
  .object({
    dryRun: z.boolean(),
    versions: z
      .array(z.object({ name: z.string(), version: z.string(), unusedSince: z.iso.datetime() }))
      .meta({ description: "Old versions of the tenant's functions that are gone." }),
    setAside: fileCountSchema.optional().meta({
      description:
        "Files of the artefact store that no version of any tenant needs, from now on. Files are everybody's: they are told to operators, here and below.",
    }),
    waiting: fileCountSchema.optional().meta({
      description: "Files that wait for their removal since an earlier collection.",
    }),
    removed: fileCountSchema.optional(),
  })
  .meta({ id: "Collection" });
export type CollectionInfo = z.output<typeof collectionSchema>;

/** The query of a collection. */
export const collectionQuery = z.object({
  dryRun: z.enum(["0", "1"]).default("0").meta({ description: "1: only say what would go now." }),
});

/** The owner of an API key. */
export const whoamiSchema = z
  .object({
    tenant: z.string(),
    keyId: z.string(),
    publicUrl: z.url(),
    operator: z.boolean().default(false).meta({ description: "Whether the key decides over all tenants, too." }),
    scopes: z.array(z.string()).default(["admin"]).meta({ description: "What the key may do." }),
    functions: z.array(z.string()).nullable().default(null).meta({ description: "Those that it is for; null: all." }),
    expiresAt: z.iso.datetime().nullable().default(null),
  })
  .meta({ id: "WhoAmI" });
export type Whoami = z.output<typeof whoamiSchema>;

/** Unix time in milliseconds, or a date and time of RFC 3339. */
export const timeSchema = z
  .union([z.coerce.number().int().min(0), z.iso.datetime({ offset: true }).transform((text) => Date.parse(text))])
  .meta({ type: "string", example: "2026-01-31T12:00:00Z" });

/** The entries of a log that are wanted. */
export const logsQuery = z.object({
  limit: z.coerce.number().int().min(1).max(5_000).default(200).meta({ description: "Most entries, the latest ones." }),
  invocation: z.uuid().optional().meta({ description: "Only of this invocation." }),
  since: timeSchema.optional().meta({ description: "Only from this time on: Unix milliseconds or RFC 3339." }),
  follow: z.enum(["0", "1"]).default("0").meta({ description: "1: stay, and send what comes." }),
});
/** The query of a log as a URL has it. */
export type LogsQuery = Partial<Record<keyof z.output<typeof logsQuery>, string>>;

/** The answer of /healthz. */
export const aliveSchema = z.object({ alive: z.literal(true) }).meta({ id: "Alive" });

/** The answer of /readyz. */
export const readySchema = z
  .object({
    ready: z.boolean(),
    workers: z.int(),
    degraded: z.array(z.string()).meta({
      description:
        "Walls that sandboxes of some worker do without, as its configuration allows (SANDPIPER_ALLOW_DEGRADED).",
      example: ["swap-limit"],
    }),
    clocks: z
      .array(z.string())
      .optional()
      .meta({
        description:
          "Clocks of gateway and workers that are off by more than a second by Redis's; absent when none is.",
        example: ["worker a-17: 31.0 s ahead of Redis's"],
      }),
    reason: z.string().optional(),
    warnings: z.array(z.string()).meta({
      description: "What is wrong although calls can be answered, such as workers whose sandboxes are no forks.",
    }),
  })
  .meta({ id: "Ready" });
