/**
 * The gateways that a user has logged in to: `profiles.json` in the user's own configuration
 * directory (docs: XDG Base Directory Specification), which nobody else can read.
 */
import { chmod, mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { z } from "zod";
import { NAME_PATTERN } from "../../model/manifest.ts";
import { CliError, systemCodeOf } from "../failure.ts";
import type { Io } from "../io.ts";

export const DEFAULT_PROFILE = "default";

const profilesSchema = z.object({
  /** The one that is taken when none is named. */
  current: z.string().nullable(),
  profiles: z.record(z.string().regex(NAME_PATTERN), z.object({ url: z.string(), apiKey: z.string() })),
});
export type Profiles = z.output<typeof profilesSchema>;

const NONE: Profiles = { current: null, profiles: {} };
/** Bits of a file's mode by which others could read or write it. */
const OTHERS = 0o077;

export function profilesFile({ env }: Pick<Io, "env">): string {
  // A relative path in the variable is to be ignored, by the specification.
  const configured = env.XDG_CONFIG_HOME?.startsWith("/") ? env.XDG_CONFIG_HOME : join(homedir(), ".config");
  return join(configured, "sandpiper", "profiles.json");
}

/** @throws CliError when the file is another user's, can be read by others, or is damaged. */
export async function readProfiles(io: Pick<Io, "env">): Promise<Profiles> {
  const file = profilesFile(io);
  try {
    const { uid, mode } = await stat(file);
    if ((uid !== 0 && uid !== process.getuid?.()) || (mode & OTHERS) !== 0) throw unsafe(file);
    return profilesSchema.parse(JSON.parse(await readFile(file, "utf8")));
  } catch (error) {
    if (error instanceof CliError) throw error;
    if (systemCodeOf(error) === "ENOENT" || systemCodeOf(error) === "ENOTDIR") return NONE;
    throw damaged(file, error);
  }
}

/**
 * Replaces the file in one step, so that a command that runs meanwhile reads the old or the new.
 */
export async function writeProfiles(io: Pick<Io, "env">, profiles: Profiles): Promise<void> {
  const file = profilesFile(io);
  const beside = `${file}.${process.pid}`;
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  try {
    await writeFile(beside, `${JSON.stringify(profiles, null, 2)}\n`, { mode: 0o600, flag: "wx" });
    // The mask of the process may have taken the user's own rights.
    await chmod(beside, 0o600);
    await rename(beside, file);
  } finally {
    await rm(beside, { force: true });
  }
}

/** The profile of that name. @throws CliError when there is none */
export function profileOf({ profiles }: Profiles, name: string): { url: string; apiKey: string } {
  const profile = Object.hasOwn(profiles, name) ? profiles[name] : undefined;
  if (profile !== undefined) return profile;
  const known = Object.keys(profiles);
  throw new CliError("usage", `there is no profile ${JSON.stringify(name)}`, {
    code: "NO_PROFILE",
    hint: known.length === 0 ? "sandpiper login makes one" : `there are: ${known.join(", ")}`,
  });
}

/** @throws CliError when a profile cannot have that name. */
export function checkProfileName(name: string): void {
  if (NAME_PATTERN.test(name)) return;
  throw new CliError("usage", `${JSON.stringify(name)} cannot be the name of a profile`, {
    code: "BAD_PROFILE_NAME",
    hint: "1 to 63 of a-z, 0-9 and '-', neither first nor last a '-'",
  });
}

function unsafe(file: string): CliError {
  return new CliError("auth", `${file} holds keys, and is not the user's alone`, {
    code: "PROFILES_UNSAFE",
    hint: `make it so: chown "$USER" ${file} && chmod 600 ${file}; and rotate the keys in it if others may have read it`,
  });
}

function damaged(file: string, cause: unknown): CliError {
  return new CliError(
    "unavailable",
    `${file} cannot be used: ${systemCodeOf(cause) ?? "it is not as login writes it"}`,
    {
      code: "PROFILES_DAMAGED",
      cause,
      hint: "mend or remove it, and log in again",
    },
  );
}
