/** The floor of starting anything with Node: `node -e 0` in an empty environment. */
import { spawn } from "node:child_process";
import { once } from "node:events";

/** Runs it once. @returns milliseconds from the spawn to the exit. @throws Error when it does not end well */
export async function nodeStartMs(): Promise<number> {
  const startMs = performance.now();
  const child = spawn(process.execPath, ["-e", "0"], { env: {}, stdio: "ignore" });
  const [code] = await once(child, "exit");
  const endMs = performance.now();
  if (code !== 0) throw new Error(`node -e 0 ended with ${code}`);
  return endMs - startMs;
}
