/** The shapes of /v1/audit. */
import { z } from "zod";
import { tenantParam } from "./egress.ts";

/** The acts that are wanted. */
export const auditQuery = z.object({
  tenant: tenantParam.shape.tenant.optional().meta({
    description: "For the operator: whose log. Without it operators see what operators did, others their own tenant's.",
  }),
  action: z
    .string()
    .max(64)
    .optional()
    .meta({ description: "Only this action, or those that begin with this word.", example: "function.deploy" }),
  since: z.coerce.number().int().min(0).optional().meta({ description: "Only from this time on, Unix milliseconds." }),
  limit: z.coerce.number().int().min(1).max(5_000).default(200).meta({ description: "Most entries, the latest ones." }),
});
/** The query as a URL has it. */
export type AuditQuery = Partial<Record<keyof z.output<typeof auditQuery>, string>>;

/** One act. */
export const auditEntrySchema = z
  .object({
    time: z.iso.datetime(),
    tenant: z.string(),
    keyId: z.string(),
    operator: z.boolean(),
    action: z.string(),
    target: z.string(),
    address: z.string(),
    outcome: z.string().meta({ description: '"ok", or the code of the error.' }),
  })
  .meta({ id: "AuditEntry" });
export type AuditInfo = z.output<typeof auditEntrySchema>;

/** Acts, oldest first. */
export const auditListSchema = z.object({ entries: z.array(auditEntrySchema) }).meta({ id: "AuditList" });
