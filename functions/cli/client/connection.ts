/**
 * The gateway to talk to, and the key for it: flags, environment, or the connection file of a
 * running Sandpiper.
 */
import { open } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import { KIB } from "../../../infra/std/bytes.ts";
import { CliError, messageOf, systemCodeOf } from "../failure.ts";
import type { Io } from "../io.ts";
import { PACKAGE_ROOT } from "../paths.ts";

export interface ConnectionOptions {
  url?: string;
  apiKeyFile?: string;
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
 * Looks in this order: flags, SANDPIPER_URL and SANDPIPER_API_KEY, `.sandpiper/connection.json` in
 * the working directory and upward, the same in the checkout that the CLI belongs to. A key that
 * was found in a file goes only to the URL that was found beside it.
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

  const file = await findConnectionFile(io.cwd, checkout);
  const found = file === null ? null : await readConnectionFile(file);
  if (url) {
    if (found && new URL(found.url).origin === new URL(checkedUrl(url)).origin)
      return { ...found, url: checkedUrl(url) };
    throw new CliError("auth", `there is no API key for ${checkedUrl(url)}`, {
      code: "NO_API_KEY",
      hint: "set SANDPIPER_API_KEY, or give --api-key-file",
    });
  }
  if (key) {
    throw new CliError("unavailable", "an API key is given, but not the gateway's URL that it is for", {
      code: "NO_CONNECTION",
      hint: "set SANDPIPER_URL, or give --url",
    });
  }
  if (found) return found;
  throw new CliError(
    "unavailable",
    "no Sandpiper is known: nothing is set, and no .sandpiper/connection.json is found",
    {
      code: "NO_CONNECTION",
      hint: "start one with `npm start` in the Sandpiper checkout, or set SANDPIPER_URL and SANDPIPER_API_KEY",
    },
  );
}

async function givenKey(io: Pick<Io, "env" | "cwd">, options: ConnectionOptions): Promise<string | null> {
  if (options.apiKeyFile !== undefined) return await readKeyFile(resolve(io.cwd, options.apiKeyFile));
  const key = io.env.SANDPIPER_API_KEY?.trim();
  if (!key) return null;
  if (!API_KEY.test(key)) {
    throw new CliError("auth", "SANDPIPER_API_KEY is not an API key: a key looks like sp_..._...", {
      code: "BAD_API_KEY",
    });
  }
  return key;
}

function checkedUrl(text: string): string {
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

async function findConnectionFile(cwd: string, checkout: string): Promise<string | null> {
  for (let directory = resolve(cwd); ; directory = dirname(directory)) {
    if (await exists(join(directory, CONNECTION_FILE))) return join(directory, CONNECTION_FILE);
    if (directory === dirname(directory)) break;
  }
  const own = join(checkout, CONNECTION_FILE);
  return (await exists(own)) ? own : null;
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
  if (dirname(keyFile) !== dirname(file)) throw damaged(file, "apiKeyFile must be a file beside it");
  return { url: checkedUrl(parsed.data.url), apiKey: await readKeyFile(keyFile), source: file };
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
  if (!API_KEY.test(text.trim())) {
    throw new CliError("auth", `${file} does not hold an API key: a key looks like sp_..._...`, {
      code: "BAD_API_KEY",
    });
  }
  return text.trim();
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
