/** The shapes of a function's versions, aliases and history. */
import { z } from "zod";
import {
  aliasProblem,
  isFieldName,
  isVersionName,
  MAX_MESSAGE_LENGTH,
  MOVES,
  routesProblem,
  tagProblem,
} from "../model/alias.ts";
import { DEFAULT_WATCH, MAX_MIN_CALLS, MAX_WINDOW_MS, MIN_WINDOW_MS, VERDICTS } from "../model/canary.ts";
import { nameParam } from "./name.ts";

const PLAIN = /^\P{Cc}*$/u;

const aliasName = z
  .string()
  .refine((name) => aliasProblem(name) === null, { error: ({ input }) => aliasProblem(String(input)) ?? "" })
  .meta({ example: "staging" });

/** A function and an alias in a path. */
export const aliasParam = nameParam.extend({ alias: aliasName });

const versionName = z
  .string()
  .refine(isVersionName, "a version's first digits, 6 at least, or its tag")
  .meta({ description: "A version by its digits, or its first ones, or its tag.", example: "8f14e45fceea" });

/** Words that a deployment or a move is given along. */
export const messageSchema = z
  .string()
  .min(1)
  .max(MAX_MESSAGE_LENGTH)
  .regex(PLAIN, "one line without control characters")
  .meta({ description: "Why; kept in the function's history.", example: "fixes the totals" });
export const tagSchema = z
  .string()
  .refine((tag) => tagProblem(tag) === null, { error: ({ input }) => tagProblem(String(input)) ?? "" })
  .meta({ description: "A name for the version, such as a release's.", example: "v1.4.2" });

const fieldName = z.string().refine(isFieldName, "a name of a header field or cookie, of 1 to 64 characters");
export const stickySchema = z
  .union([z.strictObject({ header: fieldName }), z.strictObject({ cookie: fieldName })])
  .meta({
    description:
      "Whose value decides between two versions, so that a caller gets the same one each time. Without it, or where a call lacks it, chance decides.",
  });

/** A wish that a canary watches itself. */
export const autoSchema = z
  .strictObject({
    windowMs: z
      .int()
      .min(MIN_WINDOW_MS)
      .max(MAX_WINDOW_MS)
      .default(DEFAULT_WATCH.windowMs)
      .meta({ description: "Time until it is judged." }),
    maxErrorPercent: z
      .number()
      .min(0)
      .max(100)
      .default(DEFAULT_WATCH.maxErrorPercent)
      .meta({ description: "Percent of its calls that may fail beyond those of the other version." }),
    minCalls: z
      .int()
      .min(1)
      .max(MAX_MIN_CALLS)
      .default(DEFAULT_WATCH.minCalls)
      .meta({ description: "Calls that each version needs to be judged." }),
  })
  .meta({
    description: "Has the second version promoted, or taken back, by its errors and times beside those of the first.",
  });

const routeSchema = z.object({ version: z.string(), percent: z.int() });
const targetSchema = z.object({
  routes: z.array(routeSchema).meta({ description: "One version, or two with their shares of calls." }),
  sticky: stickySchema.nullable(),
  auto: z
    .object({ windowMs: z.int(), maxErrorPercent: z.number(), minCalls: z.int() })
    .optional()
    .meta({ description: "By which terms the second version watches itself, if it does." }),
});

/** A wish for an alias. */
export const aliasWishSchema = z
  .strictObject({
    routes: z
      .array(z.strictObject({ version: versionName, percent: z.int().min(1).max(100).default(100) }))
      .min(1)
      .max(2)
      .superRefine((routes, context) => {
        const problem = routesProblem(routes);
        if (problem !== null) context.addIssue({ code: "custom", message: problem });
      }),
    sticky: stickySchema.nullable().default(null),
    auto: autoSchema.optional(),
    message: messageSchema.optional(),
  })
  .refine(({ auto, routes }) => auto === undefined || routes.length === 2, {
    error: "one version alone has none to be compared with",
    path: ["auto"],
  })
  .meta({ id: "AliasWish" });
export type AliasWish = z.input<typeof aliasWishSchema>;

/** An alias. */
export const aliasSchema = targetSchema
  .extend({
    alias: z.string(),
    etag: z.string().meta({ description: "For `if-match`, with its quotation marks." }),
    url: z.url().nullable().meta({ description: "Where the alias is called; null when the name is too long." }),
  })
  .meta({ id: "Alias" });
export type AliasInfo = z.output<typeof aliasSchema>;

export const aliasListSchema = z.object({ aliases: z.array(aliasSchema) });

/** A move of `live`. */
export const rollbackSchema = z
  .strictObject({
    version: versionName.optional().meta({ description: "Without it, the version that was live before." }),
    message: messageSchema.optional(),
  })
  .meta({ id: "Rollback" });
export type Rollback = z.input<typeof rollbackSchema>;

export const promotionSchema = z
  .strictObject({
    from: z
      .union([aliasName, versionName])
      .optional()
      .meta({ description: "An alias or a version. Without it, the second version of `live`, its canary." }),
    message: messageSchema.optional(),
  })
  .meta({ id: "Promotion" });
export type Promotion = z.input<typeof promotionSchema>;

/** A version of a function. */
export const versionSchema = z
  .object({
    version: z.string(),
    createdAt: z.iso.datetime(),
    deployedAt: z.iso.datetime().nullable().meta({ description: "When it was deployed last, as far as known." }),
    by: z.string().nullable().meta({ description: "Id of the API key that deployed it last." }),
    message: z.string().nullable(),
    tag: z.string().nullable(),
    aliases: z.array(z.object({ alias: z.string(), percent: z.int() })),
    unusedSince: z.iso.datetime().nullable().meta({ description: "Since when no alias names it." }),
    bundleBytes: z.int(),
    url: z.url().nullable().meta({ description: "Where this version is called." }),
  })
  .meta({ id: "Version" });
export type VersionInfo = z.output<typeof versionSchema>;

export const versionListSchema = z.object({ versions: z.array(versionSchema) });

const figuresSchema = z.object({
  calls: z.int(),
  errors: z.int(),
  p99Ms: z.number().nullable().meta({ description: "99th percentile of the handler's time, in calls that went well." }),
});
const comparisonSchema = z.object({ base: figuresSchema, canary: figuresSchema });

/** One act on a function. A client may meet kinds of a newer gateway. */
export const historyEntrySchema = z
  .object({
    at: z.iso.datetime(),
    by: z.string().meta({ description: "Id of the API key; `sandpiper` for what the platform did by itself." }),
    kind: z.string().meta({ enum: [...MOVES] }),
    alias: z.string(),
    before: targetSchema.nullable(),
    after: targetSchema.nullable(),
    message: z.string().nullable(),
    tag: z.string().nullable(),
    figures: z
      .object({
        ...comparisonSchema.shape,
        reason: z.string().meta({ enum: [...VERDICTS] }),
        afterMs: z.number().meta({ description: "Time since the canary was deployed." }),
        cells: z.int().optional().meta({ description: "Cells of 16 whose clients called." }),
        others: comparisonSchema
          .nullable()
          .optional()
          .meta({ description: "The figures without the cell that spoke most against the canary, if that was asked." }),
      })
      .optional()
      .meta({ description: "What decided, where the platform promoted a canary or took it back." }),
  })
  .meta({ id: "HistoryEntry" });
export type HistoryInfo = z.output<typeof historyEntrySchema>;

export const historySchema = z.object({ entries: z.array(historyEntrySchema) });

/** Preconditions of a move. */
export const preconditionHeaders = z.object({
  "if-match": z
    .string()
    .regex(/^(\*|"[0-9]{1,20}")$/, 'one etag in quotation marks, or "*"')
    .optional()
    .meta({ description: "Move the alias only if this is its etag; `*`: only if there is one." }),
  "if-none-match": z.literal("*").optional().meta({ description: "Make the alias only if there is none." }),
});
