/** `sandpiper completion`: a shell's words for this command. */
import type { AddCommand } from "../command.ts";
import { SHELLS } from "../completion/shells.ts";
import type { Io } from "../io.ts";

export function addCompletion(add: AddCommand, io: Io): void {
  const command = add([
    'eval "$(sandpiper completion bash)"          (in ~/.bashrc)',
    'eval "$(sandpiper completion zsh)"           (in ~/.zshrc, behind compinit)',
    "sandpiper completion fish | source           (in ~/.config/fish/config.fish)",
  ]);
  command.registeredArguments[0]?.choices(Object.keys(SHELLS));
  command.action((name: string) => {
    io.stdout.write(SHELLS[name] ?? "");
  });
}
