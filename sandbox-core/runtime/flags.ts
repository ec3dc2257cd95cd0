/**
 * Flags that the node process which becomes a sandbox must be started with, zygote or plain
 * process.
 */
export const RUNTIME_NODE_FLAGS: readonly string[] = [
  // load.ts evaluates the bundle as an ES module from memory: there is no file system to import it
  // from.
  "--experimental-vm-modules",
  "--disable-warning=ExperimentalWarning",
];
