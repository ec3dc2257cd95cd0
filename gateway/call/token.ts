/** Tokens of callers (RFC 7519), for functions that say whose they take. */
import { errors, jwtVerify } from "jose";
import type { JwtAccess } from "../../functions/model/access.ts";
import { SandpiperError } from "../../functions/model/errors.ts";
import { REQUEST_LIMITS } from "../../functions/model/invocation.ts";
import type { Jwks } from "./jwks.ts";

/** Public keys verify these; with any other a token's sender could have made it. */
const ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"];
/** How far the clocks of issuers and gateways may be apart. */
const CLOCK_TOLERANCE_SECONDS = 30;

/**
 * The claims of a token as the function gets them: JSON in base64url.
 * @throws SandpiperError TOKEN_MISSING, TOKEN_INVALID, JWKS_UNAVAILABLE, HEADERS_TOO_LARGE
 */
export async function verifiedClaims(
  jwks: Jwks,
  tenant: string,
  access: JwtAccess,
  token: string | undefined,
): Promise<string> {
  if (token === undefined) throw new SandpiperError("TOKEN_MISSING");
  const claims = Buffer.from(JSON.stringify(await payloadOf(jwks, tenant, access, token))).toString("base64url");
  if (claims.length <= REQUEST_LIMITS.headerValueLength) return claims;
  const message = `The token's claims are longer than the ${REQUEST_LIMITS.headerValueLength} characters that a function can take.`;
  throw new SandpiperError("HEADERS_TOO_LARGE", { message });
}

async function payloadOf(jwks: Jwks, tenant: string, access: JwtAccess, token: string) {
  try {
    const { payload } = await jwtVerify(token, jwks.keysOf(tenant, access), {
      algorithms: ALGORITHMS,
      issuer: access.issuer,
      audience: access.audience,
      requiredClaims: ["exp"],
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
    });
    return payload;
  } catch (cause) {
    if (cause instanceof SandpiperError) throw cause;
    // The signature was good by then: its holder may know.
    const isExpired = cause instanceof errors.JWTExpired;
    throw new SandpiperError("TOKEN_INVALID", { cause, ...(isExpired && { message: "The token has expired." }) });
  }
}
