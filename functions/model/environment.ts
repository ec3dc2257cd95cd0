/** Names that a function's environment may have, from `env` or from secrets, and its limits. */

/**
 * A variable's name as POSIX has it. `__proto__` is refused: as a key of an object it is not one
 * like the others.
 */
export const ENV_NAME_PATTERN = /^(?!__proto__$)[A-Za-z_][A-Za-z0-9_]*$/;

/** Most environment variables of one function, and the longest value of one in characters. */
export const MAX_ENV_VARIABLES = 256;
export const MAX_ENV_VALUE_LENGTH = 32_768;
/** Most characters of all names and values together, secrets among them: one frame carries them. */
export const MAX_ENV_LENGTH = 131_072;

const NODE = "it steers Node itself, and nobody but Sandpiper starts Node here";
const LOADER = "it steers the loader of programs, before any code of the function's runs";
const TLS = "it changes which certificates are believed; give certificates in code, as the `ca` of a connection";

/** Names that steer the runtime, by the reason why a function cannot set them. */
const REFUSED: ReadonlyMap<string, string> = new Map([
  ...[
    ...["NODE_OPTIONS", "NODE_PATH", "NODE_V8_COVERAGE", "NODE_COMPILE_CACHE", "NODE_DISABLE_COMPILE_CACHE"],
    ...["NODE_REPL_EXTERNAL_MODULE", "NODE_ICU_DATA", "NODE_REDIRECT_WARNINGS", "NODE_PRESERVE_SYMLINKS"],
    ...["NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE", "NODE_UNIQUE_ID", "NODE_USE_ENV_PROXY"],
    ...["NODE_DEBUG_NATIVE", "UV_USE_IO_URING"],
  ].map((name): [string, string] => [name, NODE]),
  ...["NODE_EXTRA_CA_CERTS", "NODE_TLS_REJECT_UNAUTHORIZED", "NODE_USE_SYSTEM_CA", "SSL_CERT_FILE", "SSL_CERT_DIR"].map(
    (name): [string, string] => [name, TLS],
  ),
  ...["GLIBC_TUNABLES", "GCONV_PATH", "LOCPATH", "NLSPATH", "HOSTALIASES", "RES_OPTIONS", "LOCALDOMAIN"].map(
    (name): [string, string] => [name, LOADER],
  ),
  ...["OPENSSL_CONF", "OPENSSL_MODULES", "OPENSSL_ENGINES", "BASH_ENV"].map((name): [string, string] => [name, LOADER]),
  ...["SANDPIPER_FUNCTION", "SANDPIPER_VERSION"].map((name): [string, string] => [
    name,
    "Sandpiper sets it, and says by it which function this is",
  ]),
]);
const REFUSED_BEGINNINGS: readonly (readonly [beginning: string, reason: string])[] = [
  ["LD_", LOADER],
  ["MALLOC_", LOADER],
];

/** Names that may be in `env` and are no secrets. */
const NO_SECRETS: Readonly<Record<string, string>> = {
  NODE_ENV: 'it is written into the bundle; set it in "env" of sandpiper.jsonc',
  PORT: 'it is where the server is looked for; set it in "env" of sandpiper.jsonc',
};

/** The reason why a name cannot be in a function's environment, as a clause; null when it can. */
export function refusedName(name: string): string | null {
  const beginning = REFUSED_BEGINNINGS.find(([start]) => name.startsWith(start));
  return REFUSED.get(name) ?? beginning?.[1] ?? null;
}

/** The reason why a secret cannot have that name, as a clause; null when it can. */
export function refusedSecretName(name: string): string | null {
  if (name.startsWith("SANDPIPER_")) return "names that begin with SANDPIPER_ are Sandpiper's own";
  return refusedName(name) ?? NO_SECRETS[name] ?? null;
}

/** Characters that names and values take together. */
export function lengthOf(env: Readonly<Record<string, string>>): number {
  return Object.entries(env).reduce((sum, [name, value]) => sum + name.length + value.length, 0);
}
