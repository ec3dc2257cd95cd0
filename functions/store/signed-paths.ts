/**
 * Signatures of URLs: HMAC-SHA-256 over tenant, name as called, method, expiry and the path with
 * its query, byte for byte. The host and the place below /fn/ are not covered: a URL counts on each
 * of the addresses of what it names.
 */
import { createHmac, type KeyObject } from "node:crypto";
import { withSigned } from "../model/signed-url.ts";
import type { FunctionRef } from "./function-keys.ts";
import type { SigningKeys } from "./signing-keys.ts";

const DOMAIN = "sandpiper signed url 1";

/** The request that a signature is for. */
export interface SignedRequest {
  tenant: string;
  /** The name in the URL: the function's, or that of a preview. */
  calledName: string;
  method: string;
  /** Below the function's URL, with the query, without the signature's own parameters. */
  path: string;
}

/** A signed path, and when it expires. */
interface SignedPath {
  path: string;
  keyId: string;
  expiresAtMs: number;
}

/**
 * Signs a request of a function with the function's current key.
 * @throws SandpiperError FUNCTION_NOT_FOUND; SealError
 */
export async function signPath(
  keys: SigningKeys,
  ref: FunctionRef,
  request: SignedRequest,
  lifetimeMs: number,
): Promise<SignedPath> {
  const { id, key, nowMs } = await keys.current(ref);
  const expires = Math.floor((nowMs + lifetimeMs) / 1_000);
  const signature = signatureOf(key, request, String(expires));
  const path = withSigned(request.path, { expires: String(expires), key: id, signature });
  return { path, keyId: id, expiresAtMs: expires * 1_000 };
}

/**
 * The signature of a request in base64url, 43 characters. HEAD is what GET is, without the body
 * (RFC 9110, section 9.3.2).
 * @param expires Unix time in seconds, as it stands in the URL
 */
export function signatureOf(
  key: KeyObject,
  { tenant, calledName, method, path }: SignedRequest,
  expires: string,
): string {
  const signed = method === "HEAD" ? "GET" : method;
  const text = JSON.stringify([DOMAIN, tenant, calledName, signed, expires, path]);
  return createHmac("sha256", key).update(text).digest("base64url");
}
