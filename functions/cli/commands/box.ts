/** `sandpiper box`: the words after it are read by the process that this one becomes. */
import { becomeBox } from "../box.ts";
import type { AddCommand } from "../command.ts";
import type { Io } from "../io.ts";

export function addBox(add: AddCommand, io: Io): void {
  add([
    "sudo sandpiper box run --memory 64m --cpus 0.5 -- node -e 'console.log(1)'",
    "sudo sandpiper box ps",
    "sandpiper box --help",
  ])
    .allowUnknownOption()
    .passThroughOptions()
    .helpOption(false)
    .action((words: string[]) => becomeBox(words, io.env));
}
