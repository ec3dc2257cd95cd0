/** Refusals of calls by who may call a function: a part of the table of errors. */
import type { ErrorEntry } from "./error-entry.ts";

export const ACCESS_ERRORS = {
  SIGNATURE_MISSING: {
    status: 403,
    message: "The function is called by signed URLs alone, and this one is not signed.",
    fix: "Call it by a URL that `sandpiper sign` made.",
  },
  SIGNATURE_INVALID: {
    status: 403,
    message: "The URL's signature does not fit.",
    fix: "Call the URL as `sandpiper sign` gave it, with the method that it was made for; nothing of it may be changed, and its signing key may have been replaced.",
  },
  SIGNATURE_EXPIRED: {
    status: 403,
    message: "The signed URL has expired.",
    fix: "Ask for a new one: `sandpiper sign` makes them, for 7 days at most.",
  },
  TOKEN_MISSING: {
    status: 401,
    message: "This function needs a token of its issuer.",
    fix: "Send the header `authorization: Bearer <token>` with a token that the function's issuer made for it.",
  },
  TOKEN_INVALID: {
    status: 401,
    message: "The token is not one that this function takes.",
    fix: "Get a new token of the issuer in the function's `access`: for its audience, not expired, signed with RS256, PS256, ES256 or EdDSA by a published key.",
  },
  JWKS_UNAVAILABLE: {
    status: 503,
    message: "The keys of the function's issuer could not be fetched.",
    fix: "See that `jwks` in the function's `access` answers with a set of keys from a public address, then call again after `retry-after`.",
  },
} as const satisfies Record<string, ErrorEntry>;
