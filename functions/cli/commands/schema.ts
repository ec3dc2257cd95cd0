/** `sandpiper schema`: the JSON schema of sandpiper.jsonc. */
import type { AddCommand } from "../command.ts";
import { type Io, printJson } from "../io.ts";

export function addSchema(add: AddCommand, io: Io): void {
  add(["sandpiper schema > .sandpiper-schema.json"]).action(async () => {
    const { configJsonSchema } = await import("../../model/manifest.ts");
    printJson(io, configJsonSchema());
  });
}
