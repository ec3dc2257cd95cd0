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
} as const satisfies Record<string, ErrorEntry>;
