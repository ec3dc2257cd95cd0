/** The access to a function by its URL, as its configuration says it. */
import { z } from "zod";

const MAX_TEXT_LENGTH = 512;
const MAX_AUDIENCES = 10;
const MAX_INLINE_KEYS = 20;
const MAX_JWK_LENGTH = 4_096;
/** Members of keys that are no public ones (RFC 7518, section 6). */
const SECRET_MEMBERS = ["d", "k", "p", "q", "dp", "dq", "qi", "oth"];

const text = z.string().min(1).max(MAX_TEXT_LENGTH);

function isJwksUrl(value: string): boolean {
  const url = URL.parse(value);
  return url?.protocol === "https:" && url.username === "" && url.password === "" && url.hash === "";
}

const jwkSchema = z
  .looseObject({ kty: z.enum(["RSA", "EC", "OKP"]) })
  .refine((jwk) => !SECRET_MEMBERS.some((name) => name in jwk), "a public key alone: leave out what is private of it")
  .refine((jwk) => JSON.stringify(jwk).length <= MAX_JWK_LENGTH, `at most ${MAX_JWK_LENGTH} characters`);

const jwtSchema = z.strictObject({
  issuer: text.meta({ description: "The `iss` that a token must have, byte for byte." }),
  audience: z
    .union([text, z.array(text).min(1).max(MAX_AUDIENCES)])
    .meta({ description: "The `aud` that a token must have, or several of which it has one." }),
  jwks: z
    .union([
      z.string().max(2_048).refine(isJwksUrl, "an https: URL without a password and a fragment"),
      z.strictObject({ keys: z.array(jwkSchema).min(1).max(MAX_INLINE_KEYS) }),
    ])
    .meta({ description: "Where the issuer publishes its keys (https), or the public keys themselves." }),
});

/** Facts that a token must have to call a function. */
export type JwtAccess = z.output<typeof jwtSchema>;

/** The field `access`. */
export const accessSchema = z.union([z.enum(["public", "key", "signed"]), z.strictObject({ jwt: jwtSchema })]);
