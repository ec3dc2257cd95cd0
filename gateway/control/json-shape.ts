/**
 * Bounds the work that parsing a JSON text can make, before it is parsed: the event loop does
 * nothing else meanwhile.
 */
import { SandpiperError } from "../../functions/model/errors.ts";

export interface JsonLimits {
  /** Most objects and arrays inside one another. */
  maxDepth: number;
  /** Most objects, arrays, members and elements in all. */
  maxValues: number;
  /**
   * Most bytes that are looked at one by one: all outside of strings, and quotes inside of them.
   */
  maxMarkupBytes: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** By how much a byte outside of strings goes deeper, and whether it adds a value. */
const DEEPER = new Int8Array(256);
const ADDS = new Uint8Array(256);
for (const opening of "[{") DEEPER[opening.charCodeAt(0)] = 1;
for (const closing of "]}") DEEPER[closing.charCodeAt(0)] = -1;
for (const adding of "[{,") ADDS[adding.charCodeAt(0)] = 1;

/**
 * Looks at the text's brackets, commas and quotes alone, as RFC 8259 has them; long strings cost
 * next to nothing. Whether it is JSON at all is not said.
 * @throws SandpiperError INVALID_REQUEST
 */
export function checkJsonShape(text: Buffer, { maxDepth, maxValues, maxMarkupBytes }: JsonLimits): void {
  let depth = 0;
  let values = 0;
  let markupBytes = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    if (inString) at = nextQuote(text, at);
    if (++markupBytes > maxMarkupBytes) throw invalid(`has more than ${maxMarkupBytes} bytes beside its texts`);
    if (inString) {
      inString = isEscaped(text, at);
      continue;
    }
    const byte = text[at] as number;
    inString = byte === QUOTE;
    depth += DEEPER[byte] as number;
    values += ADDS[byte] as number;
    if (depth > maxDepth) throw invalid(`is nested more than ${maxDepth} deep`);
    if (values > maxValues) throw invalid(`has more than ${maxValues} values`);
  }
}

/** Where the next quote is from here on; the text's end when there is none. */
function nextQuote(text: Buffer, from: number): number {
  const at = text.indexOf(QUOTE, from);
  return at === -1 ? text.length : at;
}

/** Whether a quote inside of a string is a part of it. */
function isEscaped(text: Buffer, at: number): boolean {
  let backslashes = 0;
  while (text[at - 1 - backslashes] === BACKSLASH) backslashes++;
  return backslashes % 2 === 1;
}

function invalid(problem: string): SandpiperError {
  return new SandpiperError("INVALID_REQUEST", { message: `The JSON ${problem}.` });
}
