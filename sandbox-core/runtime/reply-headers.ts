/** Says which limit of a reply's header fields a function has crossed. */
import {
  type HeaderPairs,
  isHeaderName,
  isHeaderValue,
  MAX_HEADER_NAME_LENGTH,
  MAX_HEADER_VALUE_LENGTH,
  MAX_HEADERS,
  MAX_HEADERS_LENGTH,
} from "../protocol/frames.ts";
import { describeValue } from "./describe.ts";

/**
 * A sentence with the limit, for fields that cannot be sent; empty when nothing is wrong with them.
 */
export function headersFault(headers: HeaderPairs): string {
  if (headers.length > MAX_HEADERS) {
    return `There are ${headers.length} of them, each cookie counted, and a reply may have ${MAX_HEADERS}.`;
  }
  let length = 0;
  for (const [name, value] of headers) {
    const fault = fieldFault(name, value);
    if (fault !== "") return fault;
    length += name.length + value.length;
  }
  if (length <= MAX_HEADERS_LENGTH) return "";
  return `Their names and values have ${length} characters, and a reply's may have ${MAX_HEADERS_LENGTH} in all.`;
}

function fieldFault(name: string, value: string): string {
  if (name.length > MAX_HEADER_NAME_LENGTH) {
    return `A name has ${name.length} characters, and may have ${MAX_HEADER_NAME_LENGTH}.`;
  }
  if (!isHeaderName(name)) return `A name has characters that no name may have: ${describeValue(name)}.`;
  if (value.length > MAX_HEADER_VALUE_LENGTH) {
    return `${name} has ${value.length} characters, and may have ${MAX_HEADER_VALUE_LENGTH}.`;
  }
  return isHeaderValue(value) ? "" : `${name} has characters that no value may have: ${describeValue(value)}.`;
}
