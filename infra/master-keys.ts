/** Reads master keys from where the configuration says. What they look like is no matter here. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { open } from "node:fs/promises";
import { UnfitError } from "./service.ts";
import { KIB } from "./std/bytes.ts";

/** Where master keys come from. */
export type MasterKeySource =
  | { from: "file"; path: string }
  | { from: "environment"; text: string }
  | { from: "command"; command: string };

/** Longest time of a command: a service that starts is waited for. */
const COMMAND_MS = 15_000;
/** Most bytes of keys: there are few. */
const MOST_BYTES = 64 * KIB;
/** Longest text of what a command complains about. */
const MAX_SAID_LENGTH = 500;
/** Anybody may read the file, or write it. */
const FOR_OTHERS = 0o007;

const NONE =
  "no master key is given, which secrets and environments are sealed with: make one with " +
  "`openssl rand -base64 32` and name its file in SANDPIPER_MASTER_KEY_FILE, the same for all gateways and workers";

/**
 * The text with the master keys.
 * @param commandMs longest time of a command
 * @throws UnfitError when there is none to be had; its message shows nothing of the text
 */
export async function readMasterKeys(source: MasterKeySource | null, commandMs = COMMAND_MS): Promise<string> {
  if (source === null) throw new UnfitError(NONE);
  if (source.from === "environment") return source.text;
  return source.from === "file" ? await readKeyFile(source.path) : await runKeyCommand(source.command, commandMs);
}

/** Throws UnfitError in the place of errors of that kind, which starting again does not mend. */
export function unfitOn(kind: new (...parts: never[]) => Error): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof kind)) throw error;
    throw new UnfitError(`the master keys cannot be used: ${error.message}`, { cause: error });
  };
}

async function readKeyFile(path: string): Promise<string> {
  const file = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
    throw new UnfitError(`the file of the master keys cannot be read: ${error.message}`);
  });
  try {
    const { mode, size } = await file.stat();
    if ((mode & FOR_OTHERS) !== 0) {
      throw new UnfitError(`every user of this machine can reach the master keys in ${path}: chmod 600 ${path}`);
    }
    if (size > MOST_BYTES) throw new UnfitError(`${path} is too large for a file of master keys`);
    return await file.readFile("utf8");
  } finally {
    await file.close();
  }
}

/**
 * What a command of the shell writes. It is ended with all that it started, as a process group,
 * when it takes too long or says too much.
 */
async function runKeyCommand(command: string, limitMs: number): Promise<string> {
  const child = spawn("/bin/sh", ["-c", command], { detached: true, stdio: ["ignore", "pipe", "pipe"] });
  let ended: string | null = null;
  const end = (reason: string) => {
    ended ??= reason;
    if (child.pid !== undefined) endGroup(child.pid);
    // What left the group may hold the other ends of these.
    child.stdout.destroy();
    child.stderr.destroy();
  };
  const timer = setTimeout(() => end(`it took longer than ${limitMs} ms`), limitMs);
  const out = gather(child.stdout, () => end(`it wrote more than ${MOST_BYTES} bytes`));
  const said = gather(child.stderr, () => {});
  const [code, signal] = await once(child, "close").catch((error: Error) => [error.message, null]);
  clearTimeout(timer);
  if (ended === null && code === 0) return out().toString("utf8");
  const how = ended ?? (signal === null ? `it ended with ${code}` : `it was ended by ${signal}`);
  const words = said().toString("utf8").trim().slice(0, MAX_SAID_LENGTH);
  throw new UnfitError(
    `SANDPIPER_MASTER_KEY_COMMAND gave no master keys: ${how}${words === "" ? "" : `, and said: ${words}`}`,
  );
}

function gather(stream: NodeJS.ReadableStream, onTooMuch: () => void): () => Buffer {
  const chunks: Buffer[] = [];
  let bytes = 0;
  stream.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= MOST_BYTES) chunks.push(chunk);
    else onTooMuch();
  });
  return () => Buffer.concat(chunks);
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // All of it has ended.
  }
}
