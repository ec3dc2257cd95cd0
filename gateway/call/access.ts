/**
 * Who may call a function by its URL. Looked at before the body is read and before anything is
 * queued. The function is told who called in a field that no client can set, and never gets the
 * key.
 */
import type { IncomingHttpHeaders } from "node:http";
import type { Redis } from "ioredis";
import { SandpiperError } from "../../functions/model/errors.ts";
import type { HeaderPairs } from "../../functions/model/invocation.ts";
import { covers, sees } from "../../functions/model/scopes.ts";
import type { KeyUses } from "../../functions/store/api-keys.ts";
import type { FunctionRef } from "../../functions/store/registry.ts";
import { authenticate } from "../../functions/store/tenant.ts";
import { CALLER_FIELD } from "./forwarded.ts";

const BEARER = /^bearer +([^ ]+) *$/i;

export class AccessCheck {
  readonly #redis: Redis;
  readonly #keyUses: KeyUses;

  constructor(redis: Redis, keyUses: KeyUses) {
    this.#redis = redis;
    this.#keyUses = keyUses;
  }

  /**
   * The caller of a function whose `access` is "key", as the function is told. Redis is asked for
   * each call: a key that was revoked calls nothing more.
   * @throws SandpiperError UNAUTHENTICATED without a key of the function's tenant, whatever another
   * tenant's key may do; FUNCTION_NOT_FOUND when the key is for other functions; FORBIDDEN without
   * the scope
   */
  async callerOf(headers: IncomingHttpHeaders, { tenant, functionName }: FunctionRef): Promise<string> {
    const key = BEARER.exec(headers.authorization ?? "")?.[1];
    const principal = key === undefined ? null : await authenticate(this.#redis, key);
    if (principal === null || principal.tenant !== tenant) throw new SandpiperError("UNAUTHENTICATED");
    if (!sees(principal, functionName)) {
      const message = `The tenant ${tenant} has no function ${functionName}.`;
      throw new SandpiperError("FUNCTION_NOT_FOUND", { message });
    }
    if (!covers(principal.scopes, "invoke")) {
      const message = `This takes a key with the scope invoke; this one has ${principal.scopes.join(", ")}.`;
      throw new SandpiperError("FORBIDDEN", { message });
    }
    this.#keyUses.note(principal);
    return `key ${principal.keyId}`;
  }
}

/** The fields of a call with its caller in the place of the key. */
export function withCaller(pairs: HeaderPairs, caller: string): HeaderPairs {
  return [...pairs.filter(([name]) => name !== "authorization"), [CALLER_FIELD, caller]];
}
