/** The routes of signed URLs, as commands use them. */
import {
  type SignedUrlInfo,
  type SignedUrlWish,
  type SigningKeyInfo,
  signedUrlSchema,
  signingKeySchema,
} from "../../api/signed-urls.ts";
import type { Gateway } from "./gateway.ts";

/** @throws CliError INVALID_REQUEST when the function takes no signed URLs */
export function signUrl(gateway: Gateway, name: string, wish: SignedUrlWish): Promise<SignedUrlInfo> {
  return gateway.ask(signedUrlSchema, "POST", `/v1/functions/${encodeURIComponent(name)}/signed-urls`, wish);
}

/** Has a new key sign. @param overlapMs how long URLs of the keys before it count; else 7 days */
export function rotateSigningKey(gateway: Gateway, name: string, overlapMs?: number): Promise<SigningKeyInfo> {
  const path = `/v1/functions/${encodeURIComponent(name)}/signing-key/rotate`;
  return gateway.ask(signingKeySchema, "POST", path, overlapMs === undefined ? {} : { overlapMs });
}
