/**
 * Master keys: they seal the data keys of tenants, and are never in Redis. A text has them one a
 * line, 32 bytes as base64 or base64url. The first seals, all open.
 */
import { createHash, createSecretKey } from "node:crypto";
import type { Key } from "./cipher.ts";

const KEY_BYTES = 32;
/** 32 bytes in base64 or base64url: 43 characters, and padding where somebody likes it. */
const KEY_LINE = /^[A-Za-z0-9+/_-]{43}=?$/;
const ID_DIGITS = 12;
/** Nobody needs more at once: an old one goes when nothing is sealed with it any more. */
const MOST_KEYS = 16;

/** A text has no usable master keys. The message says what is wrong, and shows nothing of it. */
export class MasterKeyError extends Error {
  override readonly name = "MasterKeyError";
}

export class MasterKeys {
  readonly #keys: ReadonlyMap<string, Key>;
  /** Seals what is new. */
  readonly first: Key;

  private constructor(first: Key, all: readonly Key[]) {
    this.first = first;
    this.#keys = new Map(all.map((key) => [key.id, key]));
  }

  /**
   * Reads them; empty lines, and lines that begin with "#", do not count.
   * @throws MasterKeyError
   */
  static parse(text: string): MasterKeys {
    const lines = text.split("\n").map((line) => line.trim());
    const keys = lines.flatMap((line, index) => (line === "" || line.startsWith("#") ? [] : [keyOf(line, index + 1)]));
    const [first] = keys;
    if (first === undefined) throw new MasterKeyError("there is no key in it");
    if (keys.length > MOST_KEYS) throw new MasterKeyError(`there are more than ${MOST_KEYS} keys in it`);
    return new MasterKeys(first, keys);
  }

  get(id: string): Key | undefined {
    return this.#keys.get(id);
  }

  /** Names of all, in order. */
  get ids(): string[] {
    return [...this.#keys.keys()];
  }
}

function keyOf(line: string, number: number): Key {
  const bytes = KEY_LINE.test(line) ? Buffer.from(line, "base64") : Buffer.alloc(0);
  if (bytes.length !== KEY_BYTES) {
    throw new MasterKeyError(`line ${number} is no key: a key is 32 random bytes in base64 (openssl rand -base64 32)`);
  }
  if (new Set(bytes).size < KEY_BYTES / 4) throw new MasterKeyError(`the key of line ${number} is not random`);
  return { id: masterKeyId(bytes), key: createSecretKey(bytes) };
}

/** The name of a key follows from the key, so that a key cannot go by another's name. */
function masterKeyId(bytes: Uint8Array): string {
  return createHash("sha256").update("sandpiper master key").update(bytes).digest("hex").slice(0, ID_DIGITS);
}
