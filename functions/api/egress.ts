/** The shapes of /v1/egress: what functions of each tenant may connect to. */
import { z } from "zod";
import { GRANT_LISTS, MAX_GRANTS, readGrant } from "../model/egress-grants.ts";
import { NAME_PATTERN } from "../model/manifest.ts";

const MAX_RULE_LENGTH = 264;

const rules = z.array(z.string());
const asked = z.array(z.string().max(MAX_RULE_LENGTH)).max(MAX_GRANTS);

/** A tenant's name in a path. */
export const tenantParam = z.object({
  tenant: z
    .string()
    .regex(NAME_PATTERN, "1 to 63 of a-z, 0-9 and '-', neither first nor last a '-'")
    .meta({ example: "acme" }),
});

/** The grants of one tenant. */
export const grantsSchema = z
  .object({
    tenant: z.string(),
    allow: rules.nullable().meta({
      description: "What functions may declare; null when the tenant has no list of its own, and the default counts.",
    }),
    deny: rules.meta({ description: "What they may not reach, although it is allowed." }),
    private: rules.meta({
      description: "Networks that are refused to tenants without the grant, as `name=network` for that name alone.",
    }),
  })
  .meta({ id: "EgressGrants" });
export type GrantsInfo = z.output<typeof grantsSchema>;

/** The grants of all tenants that the key may see. */
export const grantListSchema = z
  .object({
    default: z.object({
      allow: z.enum(["public", "none"]).meta({ description: "For tenants without a list of their own." }),
      deny: rules.meta({ description: "For all tenants." }),
    }),
    tenants: z.array(grantsSchema),
  })
  .meta({ id: "EgressGrantList" });
export type GrantListInfo = z.output<typeof grantListSchema>;

/** A change of one list of a tenant. */
export const grantChangeSchema = z
  .strictObject({
    list: z.enum(GRANT_LISTS),
    add: asked.default([]),
    remove: asked.default([]),
    clear: z.boolean().default(false).meta({
      description: "Empty the list first. An empty list of what is allowed allows nothing.",
    }),
  })
  .superRefine(({ list, add, remove }, context) => {
    for (const [field, texts] of Object.entries({ add, remove })) {
      for (const [index, text] of texts.entries()) {
        const grant = readGrant(list, text);
        if ("problem" in grant) context.addIssue({ code: "custom", path: [field, index], message: grant.problem });
      }
    }
  })
  .meta({ id: "EgressGrantChange" });
export type GrantChange = z.input<typeof grantChangeSchema>;

/** The grants after a change, and the functions that it concerns. */
export const grantsChangedSchema = z
  .object({
    grants: grantsSchema,
    refused: z
      .array(z.object({ name: z.string(), rule: z.string(), reason: z.string() }))
      .meta({ description: "Rules of the tenant's functions that are not granted now. They are out of force." }),
  })
  .meta({ id: "EgressGrantsChanged" });
export type GrantsChanged = z.output<typeof grantsChangedSchema>;
