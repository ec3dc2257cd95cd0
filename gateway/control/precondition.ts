/** Preconditions of a request that moves an alias (RFC 9110, section 13). */
import { SandpiperError } from "../../functions/model/errors.ts";

/**
 * The revision that the alias must have, as `moveAlias` takes it; nothing when any will do.
 * @throws SandpiperError INVALID_REQUEST
 */
export function expectedOf(headers: { "if-match"?: string | undefined; "if-none-match"?: string | undefined }) {
  const { "if-match": match, "if-none-match": noneMatch } = headers;
  if (match !== undefined && noneMatch !== undefined) {
    throw new SandpiperError("INVALID_REQUEST", { message: "Give either `if-match` or `if-none-match`." });
  }
  if (noneMatch !== undefined) return "none";
  return match?.replaceAll('"', "");
}

/** The etag of a revision, with its quotation marks. */
export function etagOf(revision: string): string {
  return `"${revision}"`;
}
