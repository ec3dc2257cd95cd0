/** JSON as others send it: UTF-8 (RFC 8259, section 8.1). */

// Captured before tenant code.
const { parse } = JSON;
const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * The value of a text in JSON; a mark of the byte order before it says nothing.
 * @throws Error that says what is wrong with it
 */
export function readJson(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch (cause) {
    throw new TypeError("The bytes are not UTF-8.", { cause });
  }
  return parse(text);
}
