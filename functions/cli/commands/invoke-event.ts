/** `sandpiper invoke --event`: the body is the event itself, and the result is printed as JSON. */
import { Readable } from "node:stream";
import type { Gateway } from "../client/gateway.ts";
import { type Answer, textOf } from "../client/http.ts";
import { CliError, messageOf } from "../failure.ts";
import type { Io } from "../io.ts";
import { readBody } from "../show/body.ts";

/** Options of a request, which an event has none of. */
export interface RequestOptions {
  data?: string;
  dataFile?: string;
  method?: string;
  path: string;
  header: readonly unknown[];
}

/**
 * Sends the event in a file, or in standard input for `-`. The answer's body is what the function
 * returned, or what Lambda would say of its failure.
 * @throws CliError when the file holds no JSON, other options speak of a request, or the function
 * takes no events
 */
export async function sendEvent(
  io: Io,
  gateway: Gateway,
  { name, file, traceparent }: { name: string; file: string; traceparent: string | null },
  { data, dataFile, method, path, header }: RequestOptions,
): Promise<Answer> {
  if ([data, dataFile, method].some((given) => given !== undefined) || path !== "/" || header.length > 0) {
    throw new CliError("usage", "--event excludes --data, --data-file, --method, --path and --header", {
      code: "USAGE",
      hint: "an event is no request: it has a body alone",
    });
  }
  const event = await readEvent(io, file);
  const answer = await gateway.sendEvent(name, event, traceparent);
  const text = await textOf(answer);
  if (answer.status === 400 && answer.header("x-sandpiper-outcome") === "ok") {
    throw new CliError("usage", refusalIn(text), { code: "EVENT_REFUSED" });
  }
  return { ...answer, body: Readable.from([Buffer.from(answer.status < 300 ? text : failureOf(text))]) };
}

async function readEvent(io: Io, file: string): Promise<Buffer> {
  const event = (await readBody(io, { dataFile: file })) ?? Buffer.alloc(0);
  try {
    JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(event));
  } catch (cause) {
    throw new CliError("usage", `the event in ${file} is not JSON: ${messageOf(cause)}`, { code: "BAD_EVENT", cause });
  }
  return event;
}

/** The sentence of an error of the gateway's, or the text itself where it is none. */
function refusalIn(text: string): string {
  try {
    const { error } = JSON.parse(text) as { error: { message: string } };
    return String(error.message);
  } catch {
    return text.trim();
  }
}

/** A failure in Lambda's words: what the function threw, or the platform's code and sentence. */
function failureOf(text: string): string {
  try {
    const { error, ...thrown } = JSON.parse(text) as { error: { code: string; message: string }; errorType?: string };
    const failure =
      thrown.errorType === undefined ? { errorType: error.code, errorMessage: error.message } : { ...thrown };
    return `${JSON.stringify(failure, null, 2)}\n`;
  } catch {
    // Not from a gateway, perhaps from a proxy before it.
    return text;
  }
}
