/** The shapes of /v1/quotas: how much tenants and their functions may have and do. */
import { z } from "zod";
import { NAME_PATTERN } from "../model/manifest.ts";
import { MAX_QUOTA, QUOTA_NAMES, QUOTAS } from "../model/quotas.ts";

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

/** A change of the limits of a tenant, or of one function of it. */
export const quotaChangeSchema = z
  .strictObject({
    function: z.string().regex(NAME_PATTERN, "a function's name").optional(),
    limits: z.partialRecord(z.enum(QUOTA_NAMES), z.int().min(0).max(MAX_QUOTA).nullable()).meta({
      description: "By name; 0: any number, null: the default again.",
    }),
  })
  .superRefine(({ function: functionName, limits: changed }, context) => {
    if (functionName === undefined) return;
    for (const name of QUOTA_NAMES)
      if (name in changed && !QUOTAS[name].ofFunctions)
        context.addIssue({ code: "custom", path: ["limits", name], message: "is a tenant's, and no function's" });
  })
  .meta({ id: "QuotaChange" });
export type QuotaChange = z.input<typeof quotaChangeSchema>;
