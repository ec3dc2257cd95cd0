/** Secrets: values that functions get in their environment, and nobody reads back. */
import { KIB } from "../../infra/std/bytes.ts";
import { MAX_ENV_VALUE_LENGTH } from "./environment.ts";

/** Longest name of a secret, and longest value in characters. */
export const MAX_SECRET_NAME_LENGTH = 128;
export const MAX_SECRET_LENGTH = MAX_ENV_VALUE_LENGTH;
/** Most secrets of one function, and most of a tenant's own. */
export const MAX_SECRETS_OF_SCOPE = 64;
/** Most functions of one tenant that have secrets of their own. */
export const MAX_SECRET_SCOPES = 1_000;
/** Most bytes of a request that sets one: each character may be an escape of six. */
export const MAX_SECRET_REQUEST_BYTES = 6 * MAX_SECRET_LENGTH + 4 * KIB;

/** The owner of secrets: a function, or with null the tenant, for functions that name them. */
export interface SecretScope {
  tenant: string;
  functionName: string | null;
}

/** A secret without its value. */
export interface SecretFacts {
  name: string;
  /** null: it is the tenant's. */
  functionName: string | null;
  /** Counts up over all secrets of a tenant, so that no number comes twice. */
  version: number;
  updatedAtMs: number;
}
