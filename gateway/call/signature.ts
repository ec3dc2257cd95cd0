/** The signature in the URL of a call. */
import { timingSafeEqual } from "node:crypto";
import { SandpiperError } from "../../functions/model/errors.ts";
import { splitSigned } from "../../functions/model/signed-url.ts";
import { signatureOf } from "../../functions/store/signed-paths.ts";
import type { SigningKeys } from "../../functions/store/signing-keys.ts";
import type { FunctionTarget } from "./target.ts";

const EXPIRES = /^[1-9]\d{9,11}$/;
const KEY_ID = /^[0-9a-f]{12}$/;
const SIGNATURE = /^[A-Za-z0-9_-]{43}$/;

/**
 * Checks the signature of a call, by Redis's clock. Whatever is wrong but the time has one answer,
 * and nobody is told that a URL expired who did not have it.
 * @param asked the target as it was called; a preview has its own name there
 * @returns the key's id, and the target without the signature's parameters
 * @throws SandpiperError SIGNATURE_MISSING, SIGNATURE_INVALID, SIGNATURE_EXPIRED; SealError
 */
export async function checkSignature(
  keys: SigningKeys,
  method: string,
  asked: FunctionTarget,
  functionName: string,
): Promise<{ keyId: string; target: FunctionTarget }> {
  const { path, found } = splitSigned(asked.path);
  const given = [found.expires, found.key, found.signature];
  if (given.every((values) => values.length === 0)) throw new SandpiperError("SIGNATURE_MISSING");
  if (given.some((values) => values.length !== 1)) throw new SandpiperError("SIGNATURE_INVALID");
  const [expires = "", keyId = "", signature = ""] = given.flat();
  const hasShape = EXPIRES.test(expires) && KEY_ID.test(keyId) && SIGNATURE.test(signature);
  const known = hasShape ? await keys.get({ tenant: asked.tenant, functionName }, keyId) : null;
  if (known === null) throw new SandpiperError("SIGNATURE_INVALID");
  const request = { tenant: asked.tenant, calledName: asked.functionName, method, path };
  if (!isSame(signature, signatureOf(known.key, request, expires))) throw new SandpiperError("SIGNATURE_INVALID");
  if (Number(expires) * 1_000 <= known.nowMs) throw new SandpiperError("SIGNATURE_EXPIRED");
  return { keyId, target: { ...asked, functionName, path, whole: splitSigned(asked.whole).path } };
}

function isSame(one: string, other: string): boolean {
  return timingSafeEqual(Buffer.from(one), Buffer.from(other));
}
