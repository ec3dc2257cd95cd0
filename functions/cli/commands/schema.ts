/** `sandpiper schema`: the JSON schema of sandpiper.jsonc. */
import { configJsonSchema } from "../../model/manifest.ts";
import type { AddCommand } from "../command.ts";
import { type Io, printJson } from "../io.ts";

export function addSchema(add: AddCommand, io: Io): void {
  add(["sandpiper schema > .sandpiper-schema.json"]).action(() => printJson(io, configJsonSchema()));
}
