/** `sandpiper logout`: forgets a gateway and its key. */
import type { Command } from "commander";
import { optionsOf } from "../client/of-command.ts";
import type { AddCommand } from "../command.ts";
import { CliError } from "../failure.ts";
import { type Io, printJson, say } from "../io.ts";

export function addLogout(add: AddCommand, io: Io): void {
  add(["sandpiper logout", "sandpiper logout staging"]).action(
    (profile: string | undefined, _options, command: Command) => logout(io, profile, command),
  );
}

async function logout(io: Io, given: string | undefined, command: Command): Promise<void> {
  const { profileOf, readProfiles, writeProfiles } = await import("../client/profiles.ts");
  const { json, profile } = optionsOf(command);
  const known = await readProfiles(io);
  const name = given ?? profile ?? known.current;
  if (name === null) throw new CliError("usage", "nobody is logged in", { code: "NO_PROFILE" });
  profileOf(known, name);
  const { [name]: _, ...profiles } = known.profiles;
  // Another one is never taken by itself: the next command would go somewhere else.
  const current = known.current === name ? null : known.current;
  await writeProfiles(io, { current, profiles });
  if (json) return printJson(io, { removed: name, current });
  say(io, `forgot the profile ${name}; its key is still valid until it is revoked`);
}
