/** The files that lie beside a bundle, in its sandbox. */
import type { ForkableSandbox } from "../../sandbox-core/index.ts";
import type { Bundle } from "../code/bundles.ts";

/** Has the files of a bundle mounted, if there are some; they are held until the sandbox ends. */
export async function mountFiles(sandbox: ForkableSandbox, { holdFiles }: Bundle): Promise<void> {
  if (holdFiles === undefined) return;
  const { directory, release } = await holdFiles();
  void sandbox.exited.then(release);
  await sandbox.mountFiles(directory);
}
