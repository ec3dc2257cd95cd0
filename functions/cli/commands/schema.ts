/** `sandpiper schema`: the JSON schema of sandpiper.jsonc. */
import { configJsonSchema } from "../../manifest.ts";
import { type Io, printJson } from "../io.ts";
import type { AddCommand } from "../program.ts";

export function addSchema(add: AddCommand, io: Io): void {
  add("schema", "print the JSON schema of sandpiper.jsonc, for editors", [
    "sandpiper schema > .sandpiper-schema.json",
  ]).action(() => printJson(io, configJsonSchema()));
}
