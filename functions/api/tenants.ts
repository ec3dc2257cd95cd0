/** The shapes of /v1/tenants. */
import { z } from "zod";
import { MAX_WEIGHT, REMOVED_KINDS, TENANT_STATES, USUAL_WEIGHT } from "../model/tenants.ts";
import { tenantParam } from "./egress.ts";

const weight = z
  .int()
  .min(1)
  .max(MAX_WEIGHT)
  .meta({ description: `Its part beside others that want more than there is; ${USUAL_WEIGHT} unless set.` });

/** A tenant. */
export const tenantSchema = z
  .object({
    tenant: z.string(),
    state: z.enum(TENANT_STATES).meta({
      description:
        "suspended: calls and changes are refused, and all stays. deleting: a deletion is under way, or broke off and is carried on.",
    }),
    since: z.iso.datetime().nullable().meta({ description: "Since when it is not active; null when it is." }),
    createdAt: z.iso.datetime(),
    weight,
  })
  .meta({ id: "Tenant" });
export type TenantDetails = z.output<typeof tenantSchema>;

/** All tenants, by name. */
export const tenantListSchema = z.object({ tenants: z.array(tenantSchema) }).meta({ id: "TenantList" });

/** A wish for a tenant. */
export const newTenantSchema = z
  .strictObject({ ...tenantParam.shape, weight: weight.optional() })
  .meta({ id: "NewTenant" });

/** A change of a tenant. */
export const tenantChangeSchema = z.strictObject({ weight }).meta({ id: "TenantChange" });

/** The result of a deletion: what is gone. */
export const tenantDeletedSchema = z
  .object({
    tenant: z.string(),
    removed: z.record(z.enum([...REMOVED_KINDS, "redisKeys"]), z.int()).meta({
      description: "How many of each kind are gone. Bundles that no other tenant needs go by the next collections.",
    }),
  })
  .meta({ id: "TenantDeleted" });
export type TenantDeleted = z.output<typeof tenantDeletedSchema>;
