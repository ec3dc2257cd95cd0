/** The shapes of /v1/quotas: how much tenants and their functions may have and do. */
import { z } from "zod";
import { NAME_PATTERN } from "../model/manifest.ts";
import { mostOf, QUOTA_NAMES, QUOTAS } from "../model/quotas.ts";

const limits = z.partialRecord(z.enum(QUOTA_NAMES), z.int());

/** The limits of all tenants that the key may see. */
export const quotaListSchema = z
  .object({
    default: limits.meta({ description: "For tenants without a limit of their own. 0: any number." }),
    quotas: z.array(
      z.object({
        tenant: z.string(),
        function: z.string().nullable().meta({ description: "null: of the whole tenant." }),
        limits,
      }),
    ),
  })
  .meta({ id: "QuotaList" });
export type QuotaListInfo = z.output<typeof quotaListSchema>;

/** All limits of a tenant, and what it has of each. */
export const quotaUseSchema = z
  .object({
    tenant: z.string(),
    limits: z.array(
      z.object({
        name: z.enum(QUOTA_NAMES),
        function: z.string().nullable().meta({ description: "null: of the whole tenant." }),
        limit: z.number().meta({ description: "0: any number." }),
        default: z.number().meta({ description: "The limit of tenants without one of their own." }),
        used: z.number().nullable().meta({
          description:
            "Now. null: not counted, as nothing limits it, or counted at workers alone. Calls are those of the gateway that answers.",
        }),
      }),
    ),
  })
  .meta({ id: "QuotaUse" });
export type QuotaUse = z.output<typeof quotaUseSchema>;

/** A change of the limits of a tenant, or of one function of it. */
export const quotaChangeSchema = z
  .strictObject({
    function: z.string().regex(NAME_PATTERN, "a function's name").optional(),
    limits: z.partialRecord(z.enum(QUOTA_NAMES), z.int().min(0).nullable()).meta({
      description: "By name; 0: any number, null: the default again.",
    }),
  })
  .superRefine(({ function: functionName, limits: changed }, context) => {
    for (const name of QUOTA_NAMES)
      if ((changed[name] ?? 0) > mostOf(name))
        context.addIssue({ code: "custom", path: ["limits", name], message: `is ${mostOf(name)} at most` });
    if (functionName === undefined) return;
    for (const name of QUOTA_NAMES)
      if (name in changed && !QUOTAS[name].ofFunctions)
        context.addIssue({ code: "custom", path: ["limits", name], message: "is a tenant's, and no function's" });
  })
  .meta({ id: "QuotaChange" });
export type QuotaChange = z.input<typeof quotaChangeSchema>;
