/**
 * The gateway to talk to, and the key for it: flags, environment, the connection file of a running
 * Sandpiper, or a profile of the user's.
 */
import { open, realpath } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import { KIB } from "../../../infra/std/bytes.ts";
import { CliError, messageOf, systemCodeOf } from "../failure.ts";
import type { Io } from "../io.ts";
import { PACKAGE_ROOT } from "../paths.ts";
import { profileOf, profilesFile, readProfiles } from "./profiles.ts";

export interface ConnectionOptions {
  url?: string;
  apiKeyFile?: string;
  /** A name of `sandpiper login`'s. */
  profile?: string;
}

export interface Connection {
  /** Without a slash at its end. */
  url: string;
  apiKey: string;
  /** Where it was found, for messages. */
  source: string;
}

const MAX_FILE_BYTES = 64 * KIB;
const CONNECTION_FILE = join(".sandpiper", "connection.json");
const connectionFileSchema = z.object({ url: z.string(), apiKeyFile: z.string() });

/**
 * The shape of keys, checked before a key is sent, so that no other file's content ever travels as
 * one.
 */
const API_KEY = /^sp_[A-Za-z0-9]+_[A-Za-z0-9_-]+$/;

/**
 * Looks in this order: flags, SANDPIPER_URL and SANDPIPER_API_KEY; the profile that is named by
 * --profile or SANDPIPER_PROFILE. Without one: `.sandpiper/connection.json` in the working
 * directory and upward, the profile of the last login, the connection file of the checkout that the
 * CLI belongs to. A key that was found in a file goes only to the URL that was found beside it.
 * @throws CliError of kind `unavailable` (no gateway known), `auth` (no key) or `usage`.
 */
export async function findConnection(
  io: Pick<Io, "env" | "cwd">,
  options: ConnectionOptions,
  checkout: string = PACKAGE_ROOT,
): Promise<Connection> {
  const url = options.url ?? io.env.SANDPIPER_URL;
  const key = await givenKey(io, options);
  if (url && key) return { url: checkedUrl(url), apiKey: key, source: "the flags and environment" };
  const profile = options.profile ?? (io.env.SANDPIPER_PROFILE || undefined);
  const places = { checkout, everyProfile: url !== undefined };
  const known = profile === undefined ? foundConnections(io, places) : namedConnection(io, profile);
  if (url) return await connectionTo(checkedUrl(url), known);
  if (key && profile === undefined) throw noUrlForKey();
  for await (const found of known) return key === null ? found : { ...found, apiKey: key };
  throw new CliError(
    "unavailable",
    "no Sandpiper is known: nothing is set, nobody is logged in, and no .sandpiper/connection.json is found",
    {
      code: "NO_CONNECTION",
      hint: "start one with `npm start` in the Sandpiper checkout, or `sandpiper login --url <url>`",
    },
  );
}

/** The key that is known for a URL. */
async function connectionTo(url: string, known: AsyncIterable<Connection>): Promise<Connection> {
  for await (const found of known) {
    if (new URL(found.url).origin === new URL(url).origin) return { ...found, url };
  }
  throw new CliError("auth", `there is no API key for ${url}`, {
    code: "NO_API_KEY",
    hint: "log in with `sandpiper login`, set SANDPIPER_API_KEY, or give --api-key-file",
  });
}

function noUrlForKey(): CliError {
  return new CliError("unavailable", "an API key is given, but not the gateway's URL that it is for", {
    code: "NO_CONNECTION",
    hint: "set SANDPIPER_URL, or give --url or --profile",
  });
}

async function* namedConnection(io: Pick<Io, "env">, name: string): AsyncGenerator<Connection, void, void> {
  yield connectionOf(io, name, profileOf(await readProfiles(io), name));
}

/** All that are known, the nearest first. Files that are not needed are not read. */
async function* foundConnections(
  io: Pick<Io, "env" | "cwd">,
  { checkout, everyProfile }: { checkout: string; everyProfile: boolean },
): AsyncGenerator<Connection, void, void> {
  const near = await findConnectionFile(io.cwd);
  if (near !== null) yield await readConnectionFile(near);
  const known = await readProfiles(io);
  const names = everyProfile ? Object.keys(known.profiles) : known.current === null ? [] : [known.current];
  for (const name of names) yield connectionOf(io, name, profileOf(known, name));
  const own = join(checkout, CONNECTION_FILE);
  if (own !== near && (await exists(own))) yield await readConnectionFile(own);
}

function connectionOf(io: Pick<Io, "env">, name: string, { url, apiKey }: { url: string; apiKey: string }): Connection {
  const source = `the profile ${name} in ${profilesFile(io)}`;
  return { url: checkedUrl(url), apiKey: checkedKey(apiKey, source), source };
}

/** The key that flags or the environment give. @throws CliError of kind `auth` */
export async function givenKey(io: Pick<Io, "env" | "cwd">, options: ConnectionOptions): Promise<string | null> {
  if (options.apiKeyFile !== undefined) return await readKeyFile(resolve(io.cwd, options.apiKeyFile));
  const key = io.env.SANDPIPER_API_KEY?.trim();
  if (!key) return null;
  return checkedKey(key, "SANDPIPER_API_KEY");
}

/** A text that is an API key, without the space around it. @throws CliError BAD_API_KEY */
export function checkedKey(text: string, source: string): string {
  const key = text.trim();
  if (API_KEY.test(key)) return key;
  throw new CliError("auth", `${source} does not hold an API key: a key looks like sp_..._...`, {
    code: "BAD_API_KEY",
  });
}

/** A gateway's URL without a slash at its end. @throws CliError BAD_URL */
export function checkedUrl(text: string): string {
  const url = URL.parse(text);
  const usable = url !== null && (url.protocol === "http:" || url.protocol === "https:");
  if (!usable || url.username || url.password || url.search || url.hash) {
    throw new CliError("usage", `${JSON.stringify(text)} is not a gateway's URL`, {
      code: "BAD_URL",
      hint: "it looks like http://127.0.0.1:8787",
    });
  }
  return url.href.replace(/\/+$/, "");
}

async function findConnectionFile(cwd: string): Promise<string | null> {
  for (let directory = resolve(cwd); ; directory = dirname(directory)) {
    if (await exists(join(directory, CONNECTION_FILE))) return join(directory, CONNECTION_FILE);
    if (directory === dirname(directory)) return null;
  }
}

async function readConnectionFile(file: string): Promise<Connection> {
  const { text, uid } = await readSmallFile(file);
  // Someone else's file in a shared directory such as /tmp could send code and environment to a
  // gateway of theirs.
  if (uid !== 0 && uid !== process.getuid?.()) {
    throw new CliError("unavailable", `${file} belongs to another user and is not used`, {
      code: "FOREIGN_CONNECTION_FILE",
      hint: "set SANDPIPER_URL and SANDPIPER_API_KEY if you mean that gateway",
    });
  }
  const parsed = connectionFileSchema.safeParse(parseJson(file, text));
  if (!parsed.success) throw damaged(file, "it must hold url and apiKeyFile");
  const keyFile = resolve(dirname(file), parsed.data.apiKeyFile);
  if (!(await areBeside(file, keyFile))) throw damaged(file, "apiKeyFile must be a file beside it");
  return { url: checkedUrl(parsed.data.url), apiKey: await readKeyFile(keyFile), source: file };
}

/** Whether two files are in one directory, by whatever names it has: `.sandpiper` may be a link. */
async function areBeside(...files: string[]): Promise<boolean> {
  const directories = await Promise.all(files.map((file) => realpath(dirname(file)).catch(() => null)));
  return directories[0] !== null && directories.every((directory) => directory === directories[0]);
}

function parseJson(file: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw damaged(file, messageOf(error));
  }
}

function damaged(file: string, detail: string): CliError {
  return new CliError("unavailable", `${file} cannot be used: ${detail}`, {
    code: "BAD_CONNECTION_FILE",
    hint: "`npm start` writes it anew",
  });
}

async function readKeyFile(file: string): Promise<string> {
  let text: string;
  try {
    ({ text } = await readSmallFile(file));
  } catch (error) {
    throw new CliError("auth", `cannot read the API key in ${file}: ${systemCodeOf(error) ?? messageOf(error)}`, {
      code: "NO_API_KEY",
      cause: error,
      hint: "only the user who started Sandpiper may read it; others set SANDPIPER_API_KEY",
    });
  }
  return checkedKey(text, file);
}

async function readSmallFile(file: string): Promise<{ text: string; uid: number }> {
  await using handle = await open(file);
  const { size, uid } = await handle.stat();
  if (size > MAX_FILE_BYTES) throw new Error(`the file has ${size} bytes; ${MAX_FILE_BYTES} are the most`);
  return { text: await handle.readFile("utf8"), uid };
}

async function exists(file: string): Promise<boolean> {
  try {
    await using _ = await open(file);
    return true;
  } catch (error) {
    // Unreadable is not absent: reading it later gives the error that says so.
    const code = systemCodeOf(error);
    return code !== "ENOENT" && code !== "ENOTDIR";
  }
}
