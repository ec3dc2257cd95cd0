/** The shapes of the control API for signed URLs. A signing key is in none of them. */
import { z } from "zod";
import { isSignedMethod, MAX_SIGNED_MS, signedPathProblem } from "../model/signed-url.ts";

/** A wish for a signed URL. */
export const signedUrlWishSchema = z
  .strictObject({
    path: z
      .string()
      .refine((path) => signedPathProblem(path) === null, {
        error: ({ input }) => signedPathProblem(String(input)) ?? "",
      })
      .default("/")
      .meta({ description: "Path and query below the function's URL, as clients send them.", example: "/orders?id=7" }),
    method: z
      .string()
      .refine(isSignedMethod, "a method as requests have it: GET, POST")
      .default("GET")
      .meta({ description: "The one method that it is for. HEAD goes along with GET." }),
    lifetimeMs: z
      .int()
      .min(1_000)
      .max(MAX_SIGNED_MS, "at most 7 days")
      .meta({ description: "How long it counts, from now on, by Redis's clock." }),
    alias: z
      .string()
      .max(64)
      .optional()
      .meta({ description: "Alias or version whose own URL it is; without it the function's." }),
  })
  .meta({ id: "SignedUrlWish" });
export type SignedUrlWish = z.input<typeof signedUrlWishSchema>;

/** A signed URL. */
export const signedUrlSchema = z
  .object({
    url: z.url().meta({ description: "Whoever has it may call the function with this method." }),
    sharedUrl: z.url().meta({ description: "The same below /fn/ of the gateway." }),
    method: z.string(),
    keyId: z.string().meta({ description: "The signing key: replacing it ends the URL." }),
    expiresAt: z.iso.datetime(),
  })
  .meta({ id: "SignedUrl" });
export type SignedUrlInfo = z.output<typeof signedUrlSchema>;

/** A wish for a new signing key. */
export const signingKeyRotationSchema = z
  .strictObject({
    overlapMs: z
      .int()
      .min(0)
      .max(MAX_SIGNED_MS, "at most 7 days")
      .default(MAX_SIGNED_MS)
      .meta({ description: "How long URLs of the keys before still count; 0: no more." }),
  })
  .meta({ id: "SigningKeyRotation" });

/** A signing key that is the current one now. */
export const signingKeySchema = z
  .object({
    keyId: z.string(),
    oldEndAt: z.iso
      .datetime()
      .nullable()
      .meta({ description: "When the last key before it ends; null: none counts any more." }),
  })
  .meta({ id: "SigningKey" });
export type SigningKeyInfo = z.output<typeof signingKeySchema>;
