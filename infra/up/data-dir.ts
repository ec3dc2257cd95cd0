/** The data directory: made at the first start, private to its owner. */
import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { MAX_SOCKET_PATH_BYTES } from "../redis-url.ts";
import { UpError } from "./failure.ts";
import { storageFailure } from "./hints.ts";

export interface DataDir {
  path: string;
  redisSocket: string;
  redisDir: string;
  apiKeyFile: string;
  masterKeyFile: string;
  connectionFile: string;
  processesFile: string;
  /** Faults that keep nobody from using it. */
  warnings: string[];
}

const API_KEY = /^sp_[0-9a-f]{12}_[A-Za-z0-9_-]{43}$/;

/**
 * Makes the directory if need be, readable by its owner alone.
 * @throws UpError when it cannot be made, or when its path is too long for a unix socket.
 */
export function openDataDir(path: string): DataDir {
  const redisSocket = join(path, "redis.sock");
  if (Buffer.byteLength(redisSocket) > MAX_SOCKET_PATH_BYTES) {
    throw new UpError(
      `the data directory's path is too long: ${redisSocket} has ${Buffer.byteLength(redisSocket)} bytes, and a unix socket's path may have ${MAX_SOCKET_PATH_BYTES}`,
      "choose a shorter one: npm start -- --data /var/lib/sandpiper",
    );
  }
  const redisDir = join(path, "redis");
  try {
    makeDirectory(redisDir);
    chmodSync(path, 0o700);
  } catch (error) {
    throw storageFailure(error as NodeJS.ErrnoException, path);
  }
  return {
    path,
    redisSocket,
    redisDir,
    apiKeyFile: join(path, "api-key"),
    masterKeyFile: join(path, "master-key"),
    connectionFile: join(path, "connection.json"),
    processesFile: join(path, "processes.json"),
    warnings: ownerWarnings(path),
  };
}

/**
 * Makes a directory and those that it is in. One after the other: asked for all at once, Node says
 * of a read-only file system that there is no such directory.
 */
function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // On a read-only file system the kernel says so also of one that is there.
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
    if (code !== "ENOENT" || dirname(path) === path) throw error;
    makeDirectory(dirname(path));
    mkdirSync(path, { mode: 0o700 });
  }
}

/** Its owner may put other keys, bundles and data in the place of those that root uses. */
function ownerWarnings(path: string): string[] {
  const { uid } = statSync(path);
  if (uid === process.getuid?.()) return [];
  return [`the data directory ${path} belongs to user ${uid}, who can change what runs: chown -R root ${path}`];
}

/**
 * Makes the API key at the first start: `sp_<key id>_<secret>` with 32 random bytes, readable by
 * its owner alone. The gateway registers it for the tenant `main`.
 * @returns whether it is new. @throws UpError when the file holds something else.
 */
export function ensureApiKey(file: string): boolean {
  try {
    const key = `sp_${randomBytes(6).toString("hex")}_${randomBytes(32).toString("base64url")}`;
    writeFileSync(file, `${key}\n`, { mode: 0o600, flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  if (!API_KEY.test(readFileSync(file, "utf8").trim())) {
    throw new UpError(`${file} does not hold an API key`, `remove it, and the next start makes a new one: rm ${file}`);
  }
  chmodSync(file, 0o600);
  return false;
}

/**
 * Makes the master key at the first start: 32 random bytes in base64, readable by its owner alone.
 * Where secrets were sealed with another one, gateway and workers refuse the new one.
 * @returns whether it is new.
 */
export function ensureMasterKey(file: string): boolean {
  try {
    writeFileSync(file, `${randomBytes(32).toString("base64")}\n`, { mode: 0o600, flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  chmodSync(file, 0o600);
  return false;
}

/**
 * Tells the CLI where this Sandpiper is and which key opens it. @returns a function that takes it
 * back.
 */
export function writeConnection(dir: DataDir, url: string): () => void {
  rmSync(dir.connectionFile, { force: true });
  writeFileSync(dir.connectionFile, `${JSON.stringify({ url, apiKeyFile: dir.apiKeyFile })}\n`, { mode: 0o600 });
  return () => rmSync(dir.connectionFile, { force: true });
}
