/** The shapes of /v1/keys. */
import { z } from "zod";
import { NAME_PATTERN } from "../model/manifest.ts";
import { MAX_KEY_FUNCTIONS, MAX_KEY_NOTE_LENGTH, SCOPES } from "../model/scopes.ts";
import { tenantParam } from "./egress.ts";

const MINUTE_MS = 60_000;
const TEN_YEARS_MS = 3_653 * 24 * 60 * MINUTE_MS;
const MOST_OVERLAP_MS = 30 * 24 * 60 * MINUTE_MS;

/** A key's id in a path. */
export const keyParam = z.object({ keyId: z.string().max(64).meta({ example: "0b5c2c1e7f3a" }) });

/** The tenant that is meant, when it is another than the key's own. */
export const ofTenantQuery = z.object({
  tenant: tenantParam.shape.tenant
    .optional()
    .meta({ description: "For the operator: whose keys. Else the key's own." }),
});

const scopesSchema = z.array(z.enum(SCOPES)).min(1).max(SCOPES.length);

/** A key and its grant. The id is no secret. */
export const keySchema = z
  .object({
    keyId: z.string(),
    note: z.string().nullable(),
    scopes: z.array(z.string()).meta({ description: "`admin` covers the others, keys and the audit log." }),
    functions: z.array(z.string()).nullable().meta({ description: "Those that it is for; null: all." }),
    operator: z.boolean(),
    createdAt: z.iso.datetime().nullable(),
    expiresAt: z.iso.datetime().nullable(),
    lastUsedAt: z.iso.datetime().nullable().meta({ description: "To the minute; null: never." }),
  })
  .meta({ id: "Key" });
export type KeyInfo = z.output<typeof keySchema>;

/** All keys of a tenant; those that expired are gone. */
export const keyListSchema = z.object({ keys: z.array(keySchema) }).meta({ id: "KeyList" });

/** A wish for a key. */
export const newKeySchema = z
  .strictObject({
    scopes: scopesSchema,
    functions: z
      .array(z.string().regex(NAME_PATTERN, "1 to 63 of a-z, 0-9 and '-', neither first nor last a '-'"))
      .min(1)
      .max(MAX_KEY_FUNCTIONS)
      .optional()
      .meta({ description: "Functions that it is for, deployed or not. Without it all, and what belongs to none." }),
    lifetimeMs: z.int().min(MINUTE_MS).max(TEN_YEARS_MS).optional().meta({ description: "Without it, for ever." }),
    note: z.string().max(MAX_KEY_NOTE_LENGTH).optional(),
  })
  .meta({ id: "NewKey" });
export type NewKey = z.input<typeof newKeySchema>;

/** A key that was made: shown this once. */
export const madeKeySchema = keySchema.extend({ key: z.string() }).meta({ id: "MadeKey" });
export type MadeKeyInfo = z.output<typeof madeKeySchema>;

/** A wish for a key in place of another. */
export const rotationSchema = z
  .strictObject({
    overlapMs: z.int().min(0).max(MOST_OVERLAP_MS).meta({ description: "For how long the old one stays valid." }),
  })
  .meta({ id: "KeyRotation" });
