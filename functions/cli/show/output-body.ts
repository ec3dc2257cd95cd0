/**
 * The body of a function's answer on its way out: as it is into files and pipes, made safe for a
 * terminal.
 */
import { isUtf8 } from "node:buffer";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { escapeControls } from "../../../infra/std/escape.ts";
import type { Answer } from "../client/http.ts";
import { messageOf } from "../failure.ts";
import { type Io, say } from "../io.ts";

/**
 * Writes the body to stdout, part by part as it comes. Resolves with the reason when it broke off,
 * else null.
 */
export async function printBody(io: Io, answer: Answer, raw: boolean): Promise<string | null> {
  try {
    if (!io.stdout.isTTY || raw) await copy(io, answer.body);
    else await printForTerminal(io, answer);
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

async function copy(io: Io, body: Readable): Promise<void> {
  for await (const chunk of body) await write(io, chunk);
}

async function printForTerminal(io: Io, answer: Answer): Promise<void> {
  const decoder = new TextDecoder();
  let bytes = 0;
  let text: boolean | null = null;
  let last = "\n";
  for await (const chunk of answer.body as AsyncIterable<Buffer>) {
    text ??= isText(answer, chunk);
    bytes += chunk.length;
    if (!text) continue;
    const shown = escapeControls(decoder.decode(chunk, { stream: true }).replaceAll("\r\n", "\n"));
    last = shown.at(-1) ?? last;
    await write(io, shown);
  }
  if (text === false) {
    const type = escapeControls(answer.header("content-type") ?? "no content type");
    say(io, `${bytes} bytes that are not text (${type}): redirect the output into a file, or use --raw`);
  }
  if (last !== "\n") await write(io, "\n");
}

/** Whether the answer says that it is text; if it does not say, whether its first part looks so. */
function isText(answer: Answer, first: Buffer): boolean {
  if (answer.header("content-encoding") !== undefined) return false;
  const type = answer.header("content-type");
  if (type !== undefined) return /^text\/|[/+](json|xml|javascript|x-ndjson|x-www-form-urlencoded)\b/i.test(type);
  // A character may be cut at the end of the part: at most its first three bytes are there.
  return !first.includes(0) && [0, 1, 2, 3].some((cut) => isUtf8(first.subarray(0, first.length - cut)));
}

async function write(io: Io, data: Uint8Array | string): Promise<void> {
  if (!io.stdout.write(data)) await once(io.stdout, "drain");
}

/** An answer as one JSON value. */
export interface DescribedAnswer {
  status: number;
  outcome: string | null;
  invocationId: string | null;
  headers: [string, string][];
  /** The body if it is UTF-8, otherwise `bodyBase64`. */
  body?: string;
  bodyBase64?: string;
}

/** Reads an answer whole, for `--json`. */
export async function readAnswer(answer: Answer): Promise<{ answer: DescribedAnswer; broken: string | null }> {
  let broken: string | null = null;
  const bytes = await buffer(answer.body).catch((error: unknown) => {
    broken = messageOf(error);
    return Buffer.alloc(0);
  });
  const described = {
    status: answer.status,
    outcome: answer.header("x-sandpiper-outcome") ?? null,
    invocationId: answer.header("x-request-id") ?? null,
    headers: answer.headers,
    ...(isUtf8(bytes) ? { body: bytes.toString() } : { bodyBase64: bytes.toString("base64") }),
  };
  return { answer: described, broken };
}
