/** Floors of starting something: programs that do nothing, from their spawn to their exit. */
import { spawn } from "node:child_process";
import { once } from "node:events";

/**
 * Runs one in an environment of its own. @returns milliseconds. @throws Error with its last words
 * when it does not end well
 */
export async function runMs(
  program: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<number> {
  const startMs = performance.now();
  const child = spawn(program, args, { env, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (text: Buffer) => {
    said = (said + text).slice(-500);
  });
  const closed = once(child, "close");
  const [code] = await once(child, "exit");
  const endMs = performance.now();
  await closed;
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${said.trim()}`);
  return endMs - startMs;
}

/** `node -e 0`: the floor of starting anything with Node. */
export const nodeStartMs = (): Promise<number> => runMs(process.execPath, ["-e", "0"]);
