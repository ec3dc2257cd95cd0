/**
 * CloudEvents over HTTP, in binary and structured content mode: the HTTP protocol binding of
 * CloudEvents 1.0.2.
 */
import { isUtf8 } from "node:buffer";
import type { HeaderPairs } from "../../protocol/frames.ts";
import { describeValue } from "../describe.ts";
import { BadEvent } from "./event.ts";
import { readJson } from "./json-text.ts";

export type CloudEvent = Record<string, unknown>;

// Captured before tenant code.
const { from } = Buffer;

/** Attributes that every event has. */
const REQUIRED = ["specversion", "id", "source", "type"];
const KNOWN_VERSIONS = new Set(["1.0", "0.3"]);
/** The name of an attribute (CloudEvents, section 3.1). */
const ATTRIBUTE = /^[a-z0-9]+$/;
/** Characters that the text of an attribute may not have (the same, "Type System"). */
const CONTROL = /\p{Cc}/u;
const BASE64 = /^[\w+/-]*={0,2}$/;
const PREFIX = "ce-";
/** A quoted string (RFC 9110, section 5.6.4). */
const QUOTED = /^"(?:[^"\\]|\\.)*"$/;
const JSON_TYPE = /^[\w.+-]+\/(?:[\w.+-]+\+)?json$/;
const STRUCTURED = "application/cloudevents+json";

/**
 * A request that is no CloudEvent. Its sender is answered with the status, and no function is
 * called.
 */
export class BadCloudEvent extends BadEvent {
  readonly status: number;

  constructor(message: string, status = 400) {
    super(message);
    this.status = status;
  }
}

/**
 * The event of a request, whose `data` is what JSON says, a text, or else a Buffer.
 * @throws BadCloudEvent that says what is wrong with the request
 */
export function cloudEventOf(headers: HeaderPairs, body: Buffer): CloudEvent {
  const type = mediaType(headers.find(([name]) => name === "content-type")?.[1]);
  if (type.startsWith("application/cloudevents") && type !== STRUCTURED) {
    throw new BadCloudEvent(`Events of the type ${type} cannot be read: send one event as ${STRUCTURED}.`, 415);
  }
  const event =
    type === STRUCTURED ? structuredEvent(body) : (binaryEvent(headers, body, type) ?? bareEvent(body, type));
  if (event === null) {
    throw new BadCloudEvent(
      `The request is no CloudEvent: it has neither the header fields ce-id, ce-source, ce-type and ce-specversion ` +
        `nor the content type ${STRUCTURED}.`,
    );
  }
  return event;
}

/**
 * An event in JSON.
 * @throws BadCloudEvent that says what is wrong with it
 */
export function structuredEvent(body: Buffer): CloudEvent {
  const event = jsonOf(body, "The event");
  if (typeof event !== "object" || event === null || Array.isArray(event)) {
    throw new BadCloudEvent("The event is no object.");
  }
  // A member that is null is none (JSON format, section 2.2), but for data, which may be null.
  const given = Object.entries(event).filter(([name, value]) => value !== null || name === "data");
  const { data_base64: encoded, ...members } = Object.fromEntries(given);
  if (encoded === undefined) return checked(members);
  if (typeof encoded !== "string" || !BASE64.test(encoded))
    throw new BadCloudEvent("data_base64 is no text in base64.");
  if ("data" in members) throw new BadCloudEvent("The event has both data and data_base64.");
  return { ...checked(members), data: from(encoded, "base64") };
}

/** An event whose attributes are header fields; null when there is none of these. */
function binaryEvent(headers: HeaderPairs, body: Buffer, type: string): CloudEvent | null {
  const attributes = new Map<string, string>();
  for (const [field, value] of headers) {
    const name = field.startsWith(PREFIX) ? field.slice(PREFIX.length) : "";
    if (!ATTRIBUTE.test(name)) continue;
    if (name === "data") throw new BadCloudEvent("The data of an event is its body, and ce-data no attribute.");
    if (attributes.has(name)) throw new BadCloudEvent(`The event has the attribute ${name} twice.`);
    attributes.set(name, decoded(value));
  }
  if (attributes.size === 0) return null;
  const contentType = headers.find(([name]) => name === "content-type")?.[1];
  const event = checked({
    ...Object.fromEntries(attributes),
    ...(contentType !== undefined && { datacontenttype: contentType }),
  });
  return body.length === 0 ? event : { ...event, data: dataOf(body, type) };
}

/** An event in JSON that says no more of itself than that it is JSON. */
function bareEvent(body: Buffer, type: string): CloudEvent | null {
  if (!JSON_TYPE.test(type) || !body.includes('"specversion"')) return null;
  return structuredEvent(body);
}

/** @throws BadCloudEvent when an attribute lacks, or is none */
function checked(event: CloudEvent): CloudEvent {
  for (const name of REQUIRED) {
    if (typeof event[name] !== "string" || event[name] === "") {
      throw new BadCloudEvent(`The event's attribute ${name} ${name in event ? "is no text" : "is missing"}.`);
    }
  }
  if (!KNOWN_VERSIONS.has(event.specversion as string)) {
    throw new BadCloudEvent("The event's specversion is another one than 1.0.");
  }
  for (const [name, value] of Object.entries(event)) {
    if (name !== "data" && typeof value === "string" && CONTROL.test(value)) {
      throw new BadCloudEvent(`The event's attribute ${describeValue(name)} has a control character.`);
    }
  }
  return event;
}

function dataOf(body: Buffer, type: string): unknown {
  if (JSON_TYPE.test(type)) return jsonOf(body, "The event's data");
  return type.startsWith("text/") && isUtf8(body) ? body.toString() : body;
}

function jsonOf(body: Buffer, what: string): unknown {
  try {
    return readJson(body);
  } catch {
    throw new BadCloudEvent(`${what} is not the JSON in UTF-8 that its type says.`);
  }
}

/**
 * A header value, which may be quoted, and in which what is not ASCII is percent-encoded (section
 * 3.1.3.2).
 */
function decoded(value: string): string {
  const bare = QUOTED.test(value) ? value.slice(1, -1).replace(/\\(.)/g, "$1") : value;
  try {
    return decodeURIComponent(bare);
  } catch {
    return bare;
  }
}

function mediaType(contentType = ""): string {
  return (contentType.split(";", 1)[0] as string).trim().toLowerCase();
}
