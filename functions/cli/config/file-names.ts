/** Names of the files in a function's directory that the command line knows. */

export const CONFIG_FILE = "sandpiper.jsonc";

/** Written by `sandpiper types`. */
export const ENV_TYPES_FILE = "sandpiper-env.d.ts";
