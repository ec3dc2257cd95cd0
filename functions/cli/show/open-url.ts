/** Showing a URL in the user's browser. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Io } from "../io.ts";

/** Opens the URL by `$BROWSER`, else by xdg-open. @returns why it did not work, or null. */
export async function openUrl(io: Io, url: string): Promise<string | null> {
  const program = io.env.BROWSER || "xdg-open";
  const child = spawn(program, [url], { stdio: "ignore", detached: true });
  child.unref();
  try {
    await once(child, "spawn");
    return null;
  } catch (error) {
    return `${program} cannot be started: ${(error as NodeJS.ErrnoException).code}`;
  }
}
