/**
 * Access to a function by its URL. Looked at before the body is read and before anything is
 * queued. The function is told who called in fields that no client can set, and never gets what let
 * the caller in.
 */
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Redis } from "ioredis";
import type { JwtAccess } from "../../functions/model/access.ts";
import { SandpiperError } from "../../functions/model/errors.ts";
import type { HeaderPairs } from "../../functions/model/invocation.ts";
import { covers, sees } from "../../functions/model/scopes.ts";
import type { KeyUses } from "../../functions/store/api-keys.ts";
import type { FunctionRef } from "../../functions/store/registry.ts";
import type { SigningKeys } from "../../functions/store/signing-keys.ts";
import { authenticate } from "../../functions/store/tenant.ts";
import { CALLER_FIELD, type CallerFields, CLAIMS_FIELD } from "./forwarded.ts";
import type { Jwks } from "./jwks.ts";
import type { CurrentVersion } from "./routing.ts";
import { checkSignature } from "./signature.ts";
import type { FunctionTarget } from "./target.ts";
import { verifiedClaims } from "./token.ts";

const BEARER = /^bearer +([^ ]+) *$/i;

export interface AccessParts {
  redis: Redis;
  keyUses: KeyUses;
  signingKeys: SigningKeys;
  jwks: Jwks;
}

/** A call that was let in: its target as the function sees it, and what the function is told. */
export interface Admission {
  target: FunctionTarget;
  caller: CallerFields;
}

export class AccessCheck {
  readonly #parts: AccessParts;

  constructor(parts: AccessParts) {
    this.#parts = parts;
  }

  /**
   * Lets a call in, or not; null: everybody may call the function. Redis is asked for each call
   * that needs something: a key that was revoked or replaced opens nothing more.
   * @param asked the target as it was called
   * @param named the same with the function's own name, where a preview was called
   * @throws SandpiperError as the access says, see `keyCaller`, `checkSignature`, `verifiedClaims`
   */
  admit(
    request: IncomingMessage,
    asked: FunctionTarget,
    named: FunctionTarget,
    { access }: CurrentVersion,
  ): Promise<Admission> | null {
    if (access === "public") return null;
    if (typeof access === "object") return this.#byToken(request, named, access.jwt);
    return access === "key" ? this.#byKey(request, named) : this.#bySignature(request, asked, named);
  }

  async #byKey({ headers }: IncomingMessage, target: FunctionTarget): Promise<Admission> {
    const caller = await keyCaller(this.#parts, headers, target);
    return { target, caller: { fields: [[CALLER_FIELD, caller]], hidesAuthorization: true } };
  }

  async #byToken({ headers }: IncomingMessage, target: FunctionTarget, access: JwtAccess): Promise<Admission> {
    const token = BEARER.exec(headers.authorization ?? "")?.[1];
    const claims = await verifiedClaims(this.#parts.jwks, target.tenant, access, token);
    const fields: HeaderPairs = [
      [CALLER_FIELD, "jwt"],
      [CLAIMS_FIELD, claims],
    ];
    return { target, caller: { fields, hidesAuthorization: true } };
  }

  async #bySignature(request: IncomingMessage, asked: FunctionTarget, named: FunctionTarget): Promise<Admission> {
    const { signingKeys } = this.#parts;
    const { keyId, target } = await checkSignature(signingKeys, request.method ?? "GET", asked, named.functionName);
    return { target, caller: { fields: [[CALLER_FIELD, `signature ${keyId}`]], hidesAuthorization: false } };
  }
}

/**
 * The holder of the key that a call sends, as the function is told.
 * @throws SandpiperError UNAUTHENTICATED without a key of the function's tenant, whatever another
 * tenant's key may do; FUNCTION_NOT_FOUND when the key is for other functions; FORBIDDEN without
 * the scope
 */
async function keyCaller(
  { redis, keyUses }: AccessParts,
  headers: IncomingHttpHeaders,
  { tenant, functionName }: FunctionRef,
): Promise<string> {
  const key = BEARER.exec(headers.authorization ?? "")?.[1];
  const principal = key === undefined ? null : await authenticate(redis, key);
  if (principal === null || principal.tenant !== tenant) throw new SandpiperError("UNAUTHENTICATED");
  if (!sees(principal, functionName)) {
    const message = `The tenant ${tenant} has no function ${functionName}.`;
    throw new SandpiperError("FUNCTION_NOT_FOUND", { message });
  }
  if (!covers(principal.scopes, "invoke")) {
    const message = `This takes a key with the scope invoke; this one has ${principal.scopes.join(", ")}.`;
    throw new SandpiperError("FORBIDDEN", { message });
  }
  keyUses.note(principal);
  return `key ${principal.keyId}`;
}
