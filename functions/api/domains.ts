/** The shapes of /v1/domains. */
import { z } from "zod";
import { aliasProblem } from "../model/alias.ts";
import { PROOFS } from "../model/domains.ts";
import { NAME_PATTERN } from "../model/manifest.ts";
import { tenantParam } from "./egress.ts";

/** A domain's name in a path, as people write it. */
export const domainParam = z.object({ domain: z.string().max(1_000).meta({ example: "shop.example.com" }) });

/** The tenant that is meant, when it is another than the key's own. */
export const domainsOfQuery = z.object({
  tenant: tenantParam.shape.tenant
    .optional()
    .meta({ description: "For the operator: whose domains. Else the key's own." }),
});

/** The name that whoever gets certificates asks about. */
export const domainCheckQuery = z.object({ domain: z.string().max(254).meta({ example: "shop.example.com" }) });

/** A domain of a tenant. */
export const domainSchema = z
  .object({
    name: z.string().meta({ description: "In lower case, with letters beyond ASCII in their encoding (`xn--`)." }),
    function: z.string(),
    alias: z.string().nullable().meta({ description: "The alias whose version answers; null: the function's `live`." }),
    url: z.url(),
    createdAt: z.iso.datetime(),
    proven: z
      .object({ at: z.iso.datetime(), by: z.enum(PROOFS) })
      .nullable()
      .meta({ description: "Since when it answers, and by whose word; null: it does not answer yet." }),
    record: z
      .object({ name: z.string(), type: z.literal("TXT"), value: z.string() })
      .meta({ description: "The DNS record that proves it. It may go when the domain is proven." }),
    problem: z.string().nullable().meta({ description: "Why nobody answers at a proven domain, if so." }),
  })
  .meta({ id: "Domain" });
export type DomainInfo = z.output<typeof domainSchema>;

/** All domains of a tenant that the key may see, by name. */
export const domainListSchema = z.object({ domains: z.array(domainSchema) }).meta({ id: "DomainList" });

/** A wish for a domain. */
export const domainWishSchema = z
  .strictObject({
    function: z.string().regex(NAME_PATTERN, "1 to 63 of a-z, 0-9 and '-', neither first nor last a '-'"),
    alias: z
      .string()
      .refine((name) => aliasProblem(name) === null, { error: ({ input }) => aliasProblem(String(input)) ?? "" })
      .optional()
      .meta({ description: "An alias of it, such as `staging`. Without it, what the function's URL calls." }),
  })
  .meta({ id: "DomainWish" });
export type DomainWish = z.input<typeof domainWishSchema>;

/** A wish that a domain be proven. */
export const domainProofSchema = z
  .strictObject({
    verified: z.boolean().default(false).meta({ description: "For the operator, whose word is the proof." }),
    take: z
      .boolean()
      .default(false)
      .meta({ description: "For the operator: take it from a tenant that has proven it before." }),
  })
  .refine(({ verified, take }) => verified || !take, { error: "only with `verified`", path: ["take"] })
  .meta({ id: "DomainProof" });
export type DomainProof = z.input<typeof domainProofSchema>;
