/** The data directory: made at the first start, private to its owner. */
import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MAX_SOCKET_PATH_BYTES } from "../redis-url.ts";
import { UpError } from "./failure.ts";

export interface DataDir {
  path: string;
  redisSocket: string;
  redisDir: string;
  apiKeyFile: string;
  connectionFile: string;
  processesFile: string;
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
    mkdirSync(redisDir, { recursive: true, mode: 0o700 });
    chmodSync(path, 0o700);
  } catch (error) {
    throw new UpError(
      `cannot use the data directory ${path}: ${(error as Error).message}`,
      "choose one that can be written: npm start -- --data DIR",
      { cause: error },
    );
  }
  return {
    path,
    redisSocket,
    redisDir,
    apiKeyFile: join(path, "api-key"),
    connectionFile: join(path, "connection.json"),
    processesFile: join(path, "processes.json"),
  };
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
 * Tells the CLI where this Sandpiper is and which key opens it. @returns a function that takes it
 * back.
 */
export function writeConnection(dir: DataDir, url: string): () => void {
  rmSync(dir.connectionFile, { force: true });
  writeFileSync(dir.connectionFile, `${JSON.stringify({ url, apiKeyFile: dir.apiKeyFile })}\n`, { mode: 0o600 });
  return () => rmSync(dir.connectionFile, { force: true });
}
