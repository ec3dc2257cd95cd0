/**
 * Sealed texts: AES-256-GCM (NIST SP 800-38D) with a random nonce of 96 bits. Around the ciphertext
 * stands which key opens it, and with it goes what the text is about, so that no sealed text can
 * take another's place.
 */
import { createCipheriv, createDecipheriv, type KeyObject, randomBytes } from "node:crypto";

/** A key of 256 bits, and the name by which sealed texts speak of it. */
export interface Key {
  readonly id: string;
  /** No log shows what is in it. */
  readonly key: KeyObject;
}

/** The facts that a sealed text belongs to; it opens with the same ones only. */
export type About = readonly (string | number | null)[];

/** A sealed text does not open; the message says why, and has nothing of its content. */
export class SealError extends Error {
  override readonly name = "SealError";
}

const FORMAT = "sp1";
const ALGORITHM = "aes-256-gcm";
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const SEALED = /^sp1\.([0-9a-f]{8,32})\.([A-Za-z0-9_-]{38,})$/;

/** Seals bytes: "sp1.<key id>.<nonce, ciphertext and tag in base64url>". */
export function seal({ id, key }: Key, plain: Uint8Array, about: About): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(factsOf(id, about));
  const sealed = Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  return `${FORMAT}.${id}.${sealed.toString("base64url")}`;
}

/** Names the key that a text was sealed with. @throws SealError for what is no sealed text */
export function keyIdOf(sealed: string): string {
  return partsOf(sealed).id;
}

/**
 * The bytes that were sealed.
 * @throws SealError when it was sealed with another key or about something else, or was changed
 */
export function unseal({ id, key }: Key, sealed: string, about: About): Buffer {
  const parts = partsOf(sealed);
  if (parts.id !== id) throw new SealError(`it was sealed with the key ${parts.id}, not with ${id}`);
  const bytes = Buffer.from(parts.base64, "base64url");
  const tagAt = bytes.length - TAG_BYTES;
  if (tagAt < NONCE_BYTES) throw new SealError("it is too short");
  const decipher = createDecipheriv(ALGORITHM, key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(factsOf(id, about));
  decipher.setAuthTag(bytes.subarray(tagAt));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, tagAt)), decipher.final()]);
  } catch (cause) {
    throw new SealError("it was changed, belongs to something else, or its key is another one", { cause });
  }
}

function partsOf(sealed: string): { id: string; base64: string } {
  const [, id, base64] = SEALED.exec(sealed) ?? [];
  if (id === undefined || base64 === undefined) throw new SealError("it is no sealed text");
  return { id, base64 };
}

/** JSON keeps the facts apart, whatever is in them. */
function factsOf(id: string, about: About): Buffer {
  return Buffer.from(JSON.stringify([FORMAT, id, ...about]));
}
