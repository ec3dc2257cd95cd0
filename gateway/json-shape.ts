/** Bounds the work that parsing a JSON text can make, before it is parsed: the event loop does nothing else meanwhile. */
import { SandpiperError } from "../functions/errors.ts";

export interface JsonLimits {
  /** Most objects and arrays inside one another. */
  maxDepth: number;
  /** Most objects, arrays, members and elements in all. */
  maxValues: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPENING = new Set([0x5b, 0x7b]);
const CLOSING = new Set([0x5d, 0x7d]);

/**
 * Looks at the text's brackets and commas alone, as RFC 8259 has them; long strings cost next to nothing. Whether it is
 * JSON at all is not said.
 * @throws SandpiperError INVALID_REQUEST
 */
export function checkJsonShape(text: Buffer, { maxDepth, maxValues }: JsonLimits): void {
  let depth = 0;
  let values = 0;
  for (let at = 0; at < text.length; at++) {
    const byte = text[at] as number;
    if (byte === QUOTE) at = endOfString(text, at);
    else if (byte === COMMA) values += 1;
    else if (CLOSING.has(byte)) depth -= 1;
    else if (OPENING.has(byte)) {
      values += 1;
      depth += 1;
    }
    if (depth > maxDepth) throw invalid(`is nested more than ${maxDepth} deep`);
    if (values > maxValues) throw invalid(`has more than ${maxValues} values`);
  }
}

/** Where the quote is that ends the string which begins here. */
function endOfString(text: Buffer, start: number): number {
  for (let end = text.indexOf(QUOTE, start + 1); end >= 0; end = text.indexOf(QUOTE, end + 1)) {
    let backslashes = 0;
    while (text[end - 1 - backslashes] === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return end;
  }
  return text.length;
}

function invalid(problem: string): SandpiperError {
  return new SandpiperError("INVALID_REQUEST", { message: `The JSON ${problem}.` });
}
