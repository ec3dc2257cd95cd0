/** Writes values in DER (X.690): as much of it as certificates of our own need. Reads nothing. */

export const TAG = {
  BOOLEAN: 0x01,
  INTEGER: 0x02,
  BIT_STRING: 0x03,
  OCTET_STRING: 0x04,
  OBJECT_IDENTIFIER: 0x06,
  UTF8_STRING: 0x0c,
  UTC_TIME: 0x17,
  SEQUENCE: 0x30,
  SET: 0x31,
} as const;

/** The tag of a value that a number in brackets stands before in ASN.1. */
export function contextTag(number: number, { isConstructed }: { isConstructed: boolean }): number {
  return 0x80 | (isConstructed ? 0x20 : 0) | number;
}

/** A value of these parts, with tag and length. */
export function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([Buffer.of(tag), lengthOf(content.length), content]);
}

export function sequence(...parts: readonly Uint8Array[]): Buffer {
  return der(TAG.SEQUENCE, ...parts);
}

/** An object identifier, as the bytes of its content in hexadecimal. */
export function identifier(hex: string): Buffer {
  return der(TAG.OBJECT_IDENTIFIER, Buffer.from(hex, "hex"));
}

/** A string of whole bytes, or one of bits whose last `unused` are none. */
export function bitString(bytes: Uint8Array, unused = 0): Buffer {
  return der(TAG.BIT_STRING, Buffer.of(unused), bytes);
}

/** A time before 2050, to the second. */
export function utcTime(ms: number): Buffer {
  const [date = ""] = new Date(ms).toISOString().slice(2).split(".");
  return der(TAG.UTC_TIME, Buffer.from(`${date.replace(/[-:T]/g, "")}Z`));
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.of(length);
  const hex = length.toString(16);
  const bytes = Buffer.from(hex.padStart(hex.length + (hex.length % 2), "0"), "hex");
  return Buffer.concat([Buffer.of(0x80 | bytes.length), bytes]);
}
