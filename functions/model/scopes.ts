/** The acts that an API key allows. */

/** `admin` covers the others, keys and the audit log. */
export const SCOPES = ["deploy", "invoke", "read", "secrets", "admin"] as const;
export type Scope = (typeof SCOPES)[number];

/** The powers of a key, and the functions of its tenant that it has them over. */
export interface KeyGrant {
  scopes: readonly Scope[];
  /** null: with all of them, and with what belongs to the tenant as a whole. */
  functions: readonly string[] | null;
}

/** A key that may do everything with all that its tenant has. */
export const FULL_GRANT: KeyGrant = { scopes: ["admin"], functions: null };

/** Whether a key with these scopes may do what takes that one. */
export function covers(scopes: readonly Scope[], scope: Scope): boolean {
  return scopes.includes(scope) || scopes.includes("admin");
}

/** Whether a key may see a function. */
export function sees({ functions }: Pick<KeyGrant, "functions">, functionName: string): boolean {
  return functions === null || functions.includes(functionName);
}

/** Most keys of a tenant, functions of a key, and characters of a key's note. */
export const MAX_KEYS = 100;
export const MAX_KEY_FUNCTIONS = 50;
export const MAX_KEY_NOTE_LENGTH = 100;
