/** `sandpiper login`: keeps a gateway and its key for the commands that follow. */
import type { Command } from "commander";
import { escapeLine } from "../../../infra/std/escape.ts";
import { optionsOf } from "../client/of-command.ts";
import type { AddCommand } from "../command.ts";
import { CliError } from "../failure.ts";
import { type Io, printJson, say } from "../io.ts";

export function addLogin(add: AddCommand, io: Io): void {
  add([
    "sandpiper login --url https://functions.example.com",
    "sandpiper login staging --url https://staging.example.com < key-file",
    "sandpiper list --profile staging",
  ]).action((profile: string | undefined, _options, command: Command) => login(io, profile, command));
}

async function login(io: Io, given: string | undefined, command: Command): Promise<void> {
  const options = optionsOf(command);
  const { checkedUrl, givenKey, checkedKey } = await import("../client/connection.ts");
  const { checkProfileName, DEFAULT_PROFILE, readProfiles, writeProfiles } = await import("../client/profiles.ts");
  const { Gateway } = await import("../client/gateway.ts");
  const { readSecret } = await import("../read-secret.ts");
  const name = given ?? options.profile ?? DEFAULT_PROFILE;
  checkProfileName(name);
  const known = await readProfiles(io);
  const wanted = options.url ?? io.env.SANDPIPER_URL ?? known.profiles[name]?.url;
  if (wanted === undefined) {
    const hint = "sandpiper login --url https://functions.example.com";
    throw new CliError("usage", "login needs the gateway's URL", { code: "USAGE", hint });
  }
  const url = checkedUrl(wanted);
  const source = "standard input";
  const apiKey = (await givenKey(io, options)) ?? checkedKey(await readSecret(io, `API key for ${url}`), source);
  const { tenant, keyId } = await new Gateway({ url, apiKey, source }, io.interrupted).whoami();
  await writeProfiles(io, { current: name, profiles: { ...known.profiles, [name]: { url, apiKey } } });
  if (options.json) printJson(io, { profile: name, url, tenant, keyId });
  else say(io, `logged in to ${escapeLine(url)} as tenant ${escapeLine(tenant)}, profile ${name}`);
}
