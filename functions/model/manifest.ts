/** The configuration of a function as `sandpiper.jsonc` gives it: schema, defaults and limits. */
import { z } from "zod";
import { accessSchema } from "./access.ts";
import { egressSchema, injectedSecrets } from "./egress-entry.ts";
import {
  ENV_NAME_PATTERN,
  lengthOf,
  MAX_ENV_LENGTH,
  MAX_ENV_VALUE_LENGTH,
  MAX_ENV_VARIABLES,
  refusedName,
  refusedSecretName,
} from "./environment.ts";
import { minInstancesSchema } from "./provisions/min-instances.ts";
import { MAX_ROUTES, readRoute } from "./routes.ts";
import { MAX_SECRET_NAME_LENGTH, MAX_SECRETS_OF_SCOPE } from "./secrets.ts";

/**
 * Memory classes: V8's heap limit is fixed when a process starts, so each class has a zygote of its
 * own.
 */
export const MEMORY_CLASSES_MIB = [64, 128, 256, 512, 1024, 2048] as const;

/**
 * Whether calls of one instance share its memory, or each has a copy of the instance as it was when
 * it was loaded.
 */
export const ISOLATIONS = ["instance", "invocation"] as const;

/**
 * Ways to call a handler: with a Request, an event of AWS Lambda in one of two formats, Node's
 * request and response, a CloudEvent, or a request over loopback to a server that listens.
 */
export const HANDLER_KINDS = ["fetch", "lambda", "lambda-1.0", "node", "cloudevent", "server"] as const;

/**
 * An export's name, or one that a function registers itself by, which may have a "-" in it.
 * `afterRestore` is the hook of copies, and no handler.
 */
const HANDLER_PATTERN = /^(?!__proto__$|afterRestore$)[A-Za-z_$][A-Za-z0-9_$-]*$/;

/**
 * A function's or tenant's name: it is part of URLs and of Redis keys, so nothing else may pass.
 */
export const NAME_PATTERN = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** Most patterns of `include`, packages of `external`, and characters of one. */
const MAX_PATTERNS = 64;
const MAX_EXTERNAL = 256;
const MAX_PATTERN_LENGTH = 256;

/** Most calls that a function may allow at once: a gateway has no more. */
const MAX_CONCURRENCY = 10_000;

const PACKAGE_PATTERN = /^(?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~_-][a-z0-9._~-]*$/i;

/** The fault of a pattern of `include`, as a sentence, or null. */
function patternProblem(pattern: string): string | null {
  const path = pattern.replace(/^!/, "");
  if (path.startsWith("/") || path.includes("\\")) return "a pattern is relative to this file, with '/' between names";
  if (path.split("/").includes("..")) return "a pattern cannot lead out of the function's directory";
  return null;
}

/** The fault of a route, as the end of a sentence, or null. */
function routeProblem(text: string): string | null {
  const route = readRoute(text);
  return "problem" in route ? route.problem : null;
}

const cannotBeSet = (name: string, reason: string | null) => `${name} cannot be set: ${reason}`;

/**
 * The descriptions are for editors, which show them through the JSON schema, and for the reference
 * in docs/FUNCTIONS.md.
 */
const configFields = z.strictObject({
  $schema: z
    .string()
    .optional()
    .meta({ description: "The JSON schema of this file, for editors. Not used otherwise." }),
  name: z
    .string()
    .regex(NAME_PATTERN, "1 to 63 of a-z, 0-9 and '-', neither first nor last a '-'")
    .meta({ description: "The function's name, part of its URL: 1 to 63 of a-z, 0-9 and '-'.", examples: ["hello"] }),
  entry: z
    .string()
    .min(1)
    .max(512)
    .default("index.ts")
    .meta({ description: "The module that exports the handler, relative to this file.", examples: ["src/index.ts"] }),
  handler: z
    .string()
    .max(128)
    .regex(HANDLER_PATTERN, "the name of an export alone: letters, digits, '_', '$' and '-', and not afterRestore")
    .optional()
    .meta({
      description: "Name of the export that is the handler. Without it, the exports say which one is.",
      examples: ["hello"],
    }),
  kind: z.enum(HANDLER_KINDS).optional().meta({
    description:
      "How the handler is called: with a Request (fetch), an event of AWS Lambda of the format 2.0 (lambda) or 1.0 (lambda-1.0), Node's request and response (node), a CloudEvent (cloudevent), or over loopback, as the module listens (server). Without it, the module says.",
  }),
  include: z
    .array(
      z
        .string()
        .min(1)
        .max(MAX_PATTERN_LENGTH)
        .refine((pattern) => patternProblem(pattern) === null, {
          error: ({ input }) => patternProblem(String(input)) ?? "",
        }),
    )
    .max(MAX_PATTERNS, `at most ${MAX_PATTERNS} patterns`)
    .optional()
    .meta({
      description:
        "Files that the function finds beside its bundle, read-only, by patterns relative to this file. A pattern that begins with '!' leaves out.",
      examples: [["*.html", "views/**"]],
    }),
  external: z
    .array(z.string().max(MAX_PATTERN_LENGTH).regex(PACKAGE_PATTERN, "the name of a package of npm"))
    .max(MAX_EXTERNAL, `at most ${MAX_EXTERNAL} packages`)
    .optional()
    .meta({
      description: "Packages that stay outside of the bundle. What imports one fails, unless its files are included.",
      examples: [["pg-native"]],
    }),
  memoryMiB: z
    .literal(MEMORY_CLASSES_MIB)
    .default(128)
    .meta({ description: "Memory of one instance in MiB. A function that needs more ends as out_of_memory." }),
  timeoutMs: z
    .int()
    .min(1)
    .max(900_000)
    .default(10_000)
    .meta({ description: "Longest time of one call in milliseconds. A call that takes longer ends as timeout." }),
  isolation: z.enum(ISOLATIONS).default("instance").meta({
    description:
      "What a call finds of those before it: what they left in their instance (instance), or nothing, as each has a fresh copy of the loaded module (invocation).",
  }),
  keepPrefix: z.boolean().optional().meta({
    description:
      "Whether `request.url` begins with /fn/<tenant>/<function> where the function is called by such a URL. Without it the function is at the root, as on a host of its own.",
  }),
  access: accessSchema.optional().meta({
    default: "public",
    description:
      "Who may call the function by its URL: everybody (public), or holders of an API key of the tenant with the scope invoke, sent as `authorization: Bearer` (key), of a URL that `sandpiper sign` made (signed), or of a token of an issuer (jwt: `issuer`, `audience`, `jwks`).",
    examples: [{ jwt: { issuer: "https://id.example.com", audience: "shop", jwks: "https://id.example.com/jwks" } }],
  }),
  concurrency: z
    .strictObject({
      max: z.int().min(1).max(MAX_CONCURRENCY).optional(),
      reserved: z.int().min(1).max(MAX_CONCURRENCY).optional(),
    })
    .refine(({ max = MAX_CONCURRENCY, reserved = 0 }) => reserved <= max, {
      path: ["reserved"],
      error: "more than `max`: calls beyond that never run",
    })
    .optional()
    .meta({
      description:
        "`max`: most calls of the function that run at once. Calls beyond wait for their turn. `reserved`: calls that run at once however many calls of other functions there are.",
      examples: [{ max: 4, reserved: 2 }],
    }),
  minInstances: minInstancesSchema.optional().meta({
    default: 0,
    description:
      "Instances of the live version that are loaded before anybody calls them, and stay: a number, or a list of those that count at certain times. Each worker keeps its part, and one at least.",
    examples: [2, [{ count: 1 }, { count: 5, cron: "0 8 * * 1-5", for: "10h", timezone: "Europe/Berlin" }]],
  }),
  routes: z
    .array(
      z
        .string()
        .refine((text) => routeProblem(text) === null, { error: ({ input }) => routeProblem(String(input)) ?? "" }),
    )
    .max(MAX_ROUTES, `at most ${MAX_ROUTES} routes`)
    .optional()
    .meta({
      default: [],
      description:
        "Paths of the tenant's domains at which the function answers in place of the domain's own: a domain and a path, with `/*` at its end for all below. The longest one counts, once the domain is proven. See [Domains](#domains).",
      examples: [["example.com/api/*"]],
    }),
  egress: egressSchema.optional().meta({
    default: [],
    description:
      "Where the function may connect to: names, `*.` and a name, addresses, or `public`, each with `:` and a port unless it is 443. Nothing else is reached. See [EGRESS.md](EGRESS.md).",
    examples: [["api.stripe.com", "*.amazonaws.com", "db.example.com:5432"]],
  }),
  env: z
    .record(
      z.string().regex(ENV_NAME_PATTERN, "a letter or '_', then letters, digits and '_'"),
      z
        .string()
        .max(MAX_ENV_VALUE_LENGTH)
        .regex(/^[^\0]*$/, "no NUL characters"),
    )
    .superRefine((env, context) => {
      for (const name of Object.keys(env)) {
        const reason = refusedName(name);
        if (reason !== null) context.addIssue({ code: "custom", path: [name], message: cannotBeSet(name, reason) });
      }
    })
    .refine((env) => Object.keys(env).length <= MAX_ENV_VARIABLES, `at most ${MAX_ENV_VARIABLES} variables`)
    .refine((env) => lengthOf(env) <= MAX_ENV_LENGTH, `at most ${MAX_ENV_LENGTH} characters in all`)
    .default({})
    .meta({ description: "Environment variables: the handler's `env`, and `process.env` inside the function." }),
  secrets: z
    .array(
      z
        .string()
        .max(MAX_SECRET_NAME_LENGTH)
        .regex(ENV_NAME_PATTERN, "a letter or '_', then letters, digits and '_'")
        .refine((name) => refusedSecretName(name) === null, {
          error: ({ input }) => cannotBeSet(String(input), refusedSecretName(String(input))),
        }),
    )
    .max(MAX_SECRETS_OF_SCOPE, `at most ${MAX_SECRETS_OF_SCOPE} names`)
    .optional()
    .meta({
      description:
        "Names of the secrets that the function gets in its environment, its own before those of its tenant. Without it the function gets all of its own, and none of its tenant's.",
      examples: [["STRIPE_KEY"]],
    }),
});

/** The fields of a function's configuration, each by itself and beside the others. */
export const functionConfigSchema = configFields.superRefine(({ egress = [], secrets = [] }, context) => {
  const injected = injectedSecrets(egress);
  for (const [index, name] of secrets.entries()) {
    const message = `${name} is injected by a rule of "egress", and the function would hold it as well: leave it out of one of the two`;
    if (injected.includes(name)) context.addIssue({ code: "custom", path: ["secrets", index], message });
  }
});

/** Everything that is configured of a function, defaults filled in. */
export type FunctionConfig = Omit<z.output<typeof functionConfigSchema>, "$schema">;

/**
 * The JSON schema (draft 2020-12) of `sandpiper.jsonc`: what may be written, so fields with a
 * default are optional.
 */
export function configJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(functionConfigSchema, { io: "input", unrepresentable: "throw" });
  const { $schema: _, ...overlay } = schema.properties ?? {};
  const environments = {
    description:
      "Environments by name, each with the fields that differ there; its variables are added to those of `env`. `sandpiper deploy --env NAME` deploys one, as the function `<name>-<environment>` unless it has a `name`.",
    type: "object",
    propertyNames: { pattern: NAME_PATTERN.source },
    additionalProperties: { type: "object", properties: overlay, additionalProperties: false },
  };
  const properties = { ...schema.properties, environments };
  return {
    ...schema,
    properties,
    title: "Sandpiper function",
    description: "A function of Sandpiper: sandpiper.jsonc",
  };
}
