/** The shapes of the control API for secrets. A value goes in, and no answer has one. */
import { z } from "zod";
import { ENV_NAME_PATTERN, refusedSecretName } from "../model/environment.ts";
import { NAME_PATTERN } from "../model/manifest.ts";
import { MAX_SECRET_LENGTH, MAX_SECRET_NAME_LENGTH } from "../model/secrets.ts";

/** A secret's name in a path. */
export const secretParam = z.object({
  secret: z
    .string()
    .max(MAX_SECRET_NAME_LENGTH)
    .regex(ENV_NAME_PATTERN, "a letter or '_', then letters, digits and '_'")
    .meta({ example: "STRIPE_KEY" }),
});

/** The same of a secret that is to be set: names that steer the runtime are refused. */
export const newSecretParam = z.object({
  secret: secretParam.shape.secret.refine((name) => refusedSecretName(name) === null, {
    error: ({ input }) => `${String(input)} cannot be a secret: ${refusedSecretName(String(input)) ?? ""}`,
  }),
});

/** The function whose secrets are meant. */
export const secretQuery = z.object({
  function: z
    .string()
    .regex(NAME_PATTERN, "1 to 63 of a-z, 0-9 and '-', neither first nor last a '-'")
    .optional()
    .meta({ description: "The function whose secret it is; without it, it is the tenant's." }),
});

/** A value that is to be kept. */
export const secretValueSchema = z
  .strictObject({
    value: z
      .string()
      .min(1, "an empty value is no secret")
      .max(MAX_SECRET_LENGTH, `at most ${MAX_SECRET_LENGTH} characters`)
      .refine((value) => !value.includes("\0"), "no NUL characters")
      .refine((value) => value.isWellFormed(), "no halves of surrogate pairs"),
  })
  .meta({ id: "SecretValue" });

/** A secret without its value. */
export const secretSchema = z
  .object({
    name: z.string(),
    function: z.string().nullable().meta({ description: "null: it is the tenant's." }),
    version: z.int().meta({ description: "Counts up over all secrets of the tenant." }),
    updatedAt: z.iso.datetime(),
  })
  .meta({ id: "Secret" });
export type SecretInfo = z.output<typeof secretSchema>;

export const secretListSchema = z.object({ secrets: z.array(secretSchema) });

/** The end of a rewrap. */
export const rewrapSchema = z
  .object({
    masterKey: z.string().meta({ description: "Id of the master key that all data keys are sealed with now." }),
    tenants: z
      .int()
      .optional()
      .meta({ description: "Tenants that have data keys: told to operators, here and below." }),
    rewrapped: z.int().optional().meta({ description: "Data keys that were sealed with another master key before." }),
    sealed: z.int().optional().meta({ description: "Versions whose `env` an older Sandpiper had left in clear." }),
  })
  .meta({ id: "Rewrap" });
export type RewrapInfo = z.output<typeof rewrapSchema>;
