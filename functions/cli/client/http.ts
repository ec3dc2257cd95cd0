/**
 * One HTTP exchange with header fields and body bytes as they are. Not fetch: it would join header
 * fields of one name, unpack compressed bodies, and give up on a function that is allowed to take
 * fifteen minutes.
 */
import type { IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { MIB } from "../../../infra/std/bytes.ts";
import type { HeaderPairs } from "../../model/invocation.ts";
import { CliError, messageOf, systemCodeOf } from "../failure.ts";

export interface Exchange {
  method: string;
  url: string;
  /** The URL whose scheme, host and port are connected to; by default those of `url`. */
  via?: string;
  headers: HeaderPairs;
  body?: Uint8Array;
  signal?: AbortSignal;
}

export interface Answer {
  status: number;
  statusText: string;
  /** In the order and case in which they came. */
  headers: HeaderPairs;
  /** First value of a field, by its lower-case name. */
  header(name: string): string | undefined;
  body: Readable;
}

/**
 * Sends a request and resolves with the head of its answer.
 * @throws CliError of kind `unavailable` when nobody answers. An abort rejects with the signal's
 * reason.
 */
export async function exchange({ method, url, via = url, headers, body, signal }: Exchange): Promise<Answer> {
  const { host: named, hostname: servername, pathname, search } = new URL(url);
  const { protocol, hostname, port } = new URL(via);
  const { request: send } = protocol === "https:" ? https() : http();
  const framing: HeaderPairs = body === undefined ? [] : [["content-length", String(body.byteLength)]];
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const host: HeaderPairs = headers.some(([name]) => name.toLowerCase() === "host") ? [] : [["host", named]];
  const fields = [...host, ...headers, ...framing].flat();
  const to = { protocol, hostname: hostname.replace(/^\[|\]$/g, ""), port, path: pathname + search };
  const options = { ...to, ...(via !== url && { servername }), method, headers: fields, ...(signal && { signal }) };
  const outgoing = send(options, resolve);
  outgoing.on("error", reject).end(body);
  try {
    return answerOf(await promise);
  } catch (error) {
    signal?.throwIfAborted();
    throw unreachable(via, error);
  }
}

// An import statement would read all exports, and with `WebSocket` load what fetch needs: 60 ms.
const http = () => process.getBuiltinModule("node:http");
const https = () => process.getBuiltinModule("node:https");

function answerOf(message: IncomingMessage): Answer {
  const headers: HeaderPairs = [];
  for (let i = 0; i < message.rawHeaders.length; i += 2) {
    headers.push([message.rawHeaders[i] ?? "", message.rawHeaders[i + 1] ?? ""]);
  }
  return {
    status: message.statusCode ?? 0,
    statusText: message.statusMessage ?? "",
    headers,
    header: (name) => headers.find(([field]) => field.toLowerCase() === name)?.[1],
    body: message,
  };
}

function unreachable(url: string, error: unknown): CliError {
  const code = systemCodeOf(error);
  const reason = (code && REASONS[code]) ?? (messageOf(error) || code);
  return new CliError("unavailable", `cannot reach the gateway at ${new URL(url).origin}: ${reason}`, {
    code: "GATEWAY_UNREACHABLE",
    cause: error,
    hint: "is it running? `npm start` in the Sandpiper checkout starts it; `sandpiper doctor` looks closer",
  });
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "it broke the connection off",
  ENOTFOUND: "there is no such host",
  EAI_AGAIN: "its name cannot be looked up now",
  EHOSTUNREACH: "there is no route to the host",
  ETIMEDOUT: "no answer",
};

const MAX_JSON_BYTES = 64 * MIB;

/**
 * The whole body as text.
 * @throws CliError of kind `unavailable` when it breaks off or is larger than any answer of a
 * gateway.
 */
export async function textOf(answer: Answer): Promise<string> {
  if (Number(answer.header("content-length") ?? 0) > MAX_JSON_BYTES) {
    answer.body.destroy();
    throw new CliError("unavailable", "the gateway's answer is too large", { code: "BAD_ANSWER" });
  }
  try {
    return await text(answer.body);
  } catch (error) {
    throw new CliError("unavailable", `the gateway's answer broke off: ${messageOf(error)}`, {
      code: "ANSWER_BROKE_OFF",
      cause: error,
    });
  }
}
