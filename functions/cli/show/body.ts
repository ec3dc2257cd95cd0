/** The body of a call: from a flag, a file, or standard input. */
import { fstatSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { buffer } from "node:stream/consumers";
import { CliError, messageOf, systemCodeOf } from "../failure.ts";
import type { Io } from "../io.ts";

export interface BodyOptions {
  data?: string;
  dataFile?: string;
}

/**
 * The bytes to send, or null for none. Standard input is read when `-` asks for it, and when the
 * shell piped or redirected something into it; never from a terminal, and never from a socket, as
 * other programs leave those open without a word.
 */
export async function readBody(io: Io, options: BodyOptions): Promise<Buffer | null> {
  if (options.data !== undefined && options.dataFile !== undefined) {
    throw new CliError("usage", "--data and --data-file exclude each other", { code: "USAGE" });
  }
  if (options.data !== undefined && options.data !== "-") return Buffer.from(options.data);
  if (options.dataFile !== undefined && options.dataFile !== "-") return await readDataFile(io, options.dataFile);
  const asked = options.data === "-" || options.dataFile === "-";
  return asked || isPipedInto(io) ? await buffer(io.stdin) : null;
}

async function readDataFile(io: Io, file: string): Promise<Buffer> {
  try {
    return await readFile(resolve(io.cwd, file));
  } catch (error) {
    throw new CliError("usage", `cannot read ${file}: ${systemCodeOf(error) ?? messageOf(error)}`, {
      code: "DATA_FILE_UNREADABLE",
      cause: error,
    });
  }
}

function isPipedInto(io: Io): boolean {
  try {
    const stat = fstatSync(io.stdin.fd);
    return stat.isFIFO() || stat.isFile();
  } catch {
    return false; // Standard input is closed.
  }
}

/** The content type that a body has most likely: JSON, text, or just bytes. */
export function guessContentType(body: Uint8Array): string {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch {
    return "application/octet-stream";
  }
  try {
    JSON.parse(text);
    return "application/json";
  } catch {
    return "text/plain; charset=utf-8";
  }
}
