/**
 * Has a process tell what it holds, on SIGUSR2, as a line of JSON on its standard output; loaded
 * into it with `--expose-gc --import`.
 */
process.on("SIGUSR2", () => {
  const { gc } = globalThis as { gc?: () => void };
  gc?.();
  gc?.();
  const resources = process.getActiveResourcesInfo();
  // Bytes of files are outside of V8's heap.
  const { heapUsed, external } = process.memoryUsage();
  const facts = { event: "heap", usedBytes: heapUsed + external, resources: resources.length };
  process.stdout.write(`${JSON.stringify(facts)}\n`);
});
