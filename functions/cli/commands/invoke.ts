/**
 * `sandpiper invoke`: call a function over HTTP as any client would, and show what its answer does
 * not.
 */
import { randomBytes } from "node:crypto";
import type { Command } from "commander";
import { escapeLine } from "../../../infra/std/escape.ts";
import type { HeaderPairs } from "../../model/invocation.ts";
import type { Gateway } from "../client/gateway.ts";
import { type Answer, exchange } from "../client/http.ts";
import { gatewayOf, optionsOf } from "../client/of-command.ts";
import type { AddCommand, SetExitCode } from "../command.ts";
import { CliError, EXIT_CODES } from "../failure.ts";
import { type Io, printJson, say, styled } from "../io.ts";
import { type BodyOptions, guessContentType, readBody } from "../show/body.ts";
import { logsOfCall, printTrace, traceOfCall } from "../show/call-story.ts";
import { formatLogLine } from "../show/log-lines.ts";
import { printBody, readAnswer } from "../show/output-body.ts";

interface InvokeOptions extends BodyOptions {
  event?: string;
  method?: string;
  path: string;
  header: HeaderPairs;
  include?: boolean;
  logs?: boolean;
  trace?: boolean;
  raw?: boolean;
}

/** How long a URL counts that is signed for one call. */
const SIGNED_FOR_MS = 60_000;

export function addInvoke(add: AddCommand, io: Io, setExitCode: SetExitCode): void {
  add([
    "sandpiper invoke hello",
    "sandpiper invoke hello --path '/greet?name=Ada' --include",
    `sandpiper invoke orders --data '{"item":"tea"}' --logs --trace`,
    "sandpiper invoke image --data-file in.png > out.png",
    "sandpiper invoke orders --event sqs.json    (the file is the event, and no request)",
    'echo \'{"n": 1}\' | sandpiper invoke hello -H "x-mode: test"',
  ])
    .option("-d, --data <text>", "the body; '-' reads standard input")
    .option("--data-file <file>", "the file that holds the body; '-' is standard input")
    .option("--event <file>", "send the JSON in the file as the event itself, with the API key; '-' is standard input")
    .option("-X, --method <method>", "the HTTP method (default: POST with a body, GET without)")
    .option("-p, --path <path>", "path and query below the function's URL", "/")
    .option("-H, --header <field>", 'a header field, "name: value"; may be given several times', addHeader, [])
    .option("-i, --include", "print status and header fields before the body")
    .option("--logs", "print what this call wrote to its log, on stderr")
    .option("--trace", "record a trace of this call and print it as a waterfall, on stderr")
    .option("--raw", "write the body to a terminal as it is, control characters and all")
    .action((name: string, _options, command: Command) => invoke(io, name, command, setExitCode));
}

async function invoke(io: Io, name: string, command: Command, setExitCode: SetExitCode): Promise<void> {
  const options = optionsOf<InvokeOptions>(command);
  const gateway = await gatewayOf(io, command);
  const traceId = options.trace ? randomBytes(16).toString("hex") : null;
  const answer = await answerTo(io, gateway, name, options, traceId);
  const described = options.json ? await readAnswer(answer) : null;
  const broken = described ? described.broken : await show(io, answer, options);
  setExitCode(tellOutcome(io, answer, broken, options.json ?? false));

  const logs = options.logs ? await logsOfCall(gateway, name, answer, io.interrupted) : null;
  const trace = traceId === null ? null : { traceId, spans: await traceOfCall(gateway, traceId, io.interrupted) };
  if (described) return printJson(io, { ...described.answer, broken, ...(logs && { logs }), ...(trace && { trace }) });
  for (const line of logs ?? []) io.stderr.write(formatLogLine(line, io.stderr));
  if (trace) printTrace(io, trace.traceId, trace.spans);
}

async function answerTo(
  io: Io,
  gateway: Gateway,
  name: string,
  options: InvokeOptions,
  traceId: string | null,
): Promise<Answer> {
  const { event } = options;
  if (event === undefined) {
    const { url, config } = await gateway.info(name);
    const { url: gatewayUrl, apiKey } = gateway.connection;
    const signer = config.access === "signed" ? { gateway, name } : null;
    const called = { url, gatewayUrl, signer, apiKey: config.access === "key" ? apiKey : null };
    return call(io, called, options, traceId);
  }
  const traceparent = traceId === null ? null : traceparentOf(traceId);
  const { sendEvent } = await import("./invoke-event.ts");
  return sendEvent(io, gateway, { name, file: event, traceparent }, options);
}

/** Facts of a function that is called, and who signs its URLs if it takes no others. */
interface CalledFunction {
  url: string;
  gatewayUrl: string;
  signer: { gateway: Gateway; name: string } | null;
  apiKey: string | null;
}

async function call(
  io: Io,
  { url, gatewayUrl, signer, apiKey }: CalledFunction,
  options: InvokeOptions,
  traceId: string | null,
): Promise<Answer> {
  const body = await readBody(io, options);
  const method = (options.method ?? (body === null ? "GET" : "POST")).toUpperCase();
  const plainUrl = joinUrl(url, options.path);
  return await exchange({
    method,
    url: signer === null ? plainUrl : await signedUrl(signer, method, options.path),
    ...(needsNoName(url, gatewayUrl) && { via: gatewayUrl }),
    headers: requestHeaders(options.header, body, traceId, apiKey),
    ...(body !== null && { body }),
    signal: io.interrupted,
  });
}

async function signedUrl({ gateway, name }: { gateway: Gateway; name: string }, method: string, path: string) {
  const { signUrl } = await import("../client/signed-urls.ts");
  const { sentPath } = await import("../../model/signed-url.ts");
  const wish = { path: sentPath(path) ?? "/", method, lifetimeMs: SIGNED_FOR_MS };
  return (await signUrl(gateway, name, wish)).url;
}

/**
 * Whether the call goes to the gateway's address and only says the function's host. Few systems
 * look up names below localhost, and behind a gateway without TLS nothing else is to be asked.
 */
function needsNoName(functionUrl: string, gatewayUrl: string): boolean {
  return gatewayUrl.startsWith("http:") || new URL(functionUrl).hostname.endsWith(".localhost");
}

function addHeader(text: string, previous: HeaderPairs): HeaderPairs {
  const colon = text.indexOf(":");
  const name = text.slice(0, colon).trim();
  const value = text.slice(colon + 1).trim();
  // The token of RFC 9110, section 5.6.2, and a value without control characters.
  if (colon < 1 || !/^[!#$%&'*+.^_`|~\w-]+$/.test(name) || !/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) {
    throw new CliError("usage", `${JSON.stringify(text)} is no header field`, {
      code: "BAD_HEADER",
      hint: 'it looks like "name: value"',
    });
  }
  return [...previous, [name, value]];
}

function requestHeaders(
  given: HeaderPairs,
  body: Uint8Array | null,
  traceId: string | null,
  apiKey: string | null,
): HeaderPairs {
  const has = (name: string) => given.some(([field]) => field.toLowerCase() === name);
  const headers: HeaderPairs = [...given];
  if (!has("user-agent")) headers.push(["user-agent", "sandpiper-cli"]);
  if (!has("accept")) headers.push(["accept", "*/*"]);
  if (body !== null && !has("content-type")) headers.push(["content-type", guessContentType(body)]);
  if (apiKey !== null && !has("authorization")) headers.push(["authorization", `Bearer ${apiKey}`]);
  if (traceId !== null) headers.push(["traceparent", traceparentOf(traceId)]);
  return headers;
}

/** Version 00 and the flag "sampled": W3C Trace Context, section 3.2.2. */
function traceparentOf(traceId: string): string {
  return `00-${traceId}-${randomBytes(8).toString("hex")}-01`;
}

function joinUrl(functionUrl: string, path: string): string {
  const joined = functionUrl.replace(/\/+$/, "") + (/^[/?]/.test(path) ? path : `/${path}`);
  const url = URL.parse(joined);
  if (url === null) throw new CliError("usage", `${JSON.stringify(path)} is no path`, { code: "BAD_PATH" });
  return url.href;
}

/** Prints the answer; gives the reason when it broke off. */
async function show(io: Io, answer: Answer, { include, raw }: InvokeOptions): Promise<string | null> {
  if (include) {
    const fields = answer.headers.map(([name, value]) => `${name}: ${value}`);
    const head = [`HTTP/1.1 ${answer.status} ${answer.statusText}`.trimEnd(), ...fields];
    io.stdout.write(`${head.map(escapeLine).join("\r\n")}\r\n\r\n`);
  }
  return await printBody(io, answer, raw ?? false);
}

/** Says on stderr what went wrong; gives the exit code for it, 0 for a call that went well. */
function tellOutcome(io: Io, answer: Answer, broken: string | null, json: boolean): number {
  const outcome = answer.header("x-sandpiper-outcome");
  const { status } = answer;
  const tell = (style: "yellow" | "red", text: string) => json || say(io, styled(io.stderr, style, escapeLine(text)));
  const id = answer.header("x-request-id");
  const suffix = id === undefined ? "" : ` (invocation ${id})`;
  if (broken !== null) {
    tell("red", `failed: the answer broke off: ${broken}${suffix}`);
    return EXIT_CODES.function.code;
  }
  if (outcome === "ok" || (outcome === undefined && status < 400)) {
    if (status >= 400) tell("yellow", `the function answered with status ${status}${suffix}`);
    return EXIT_CODES.ok.code;
  }
  tell("red", `failed: ${outcome ?? "not run"}, status ${status}${suffix}`);
  // The function failed, unless the platform did, or the gateway refused and never ran it.
  return outcome === undefined || outcome === "platform_error" ? refusalCode(status) : EXIT_CODES.function.code;
}

function refusalCode(status: number): number {
  if (status === 404) return EXIT_CODES.notFound.code;
  if (status === 401 || status === 403) return EXIT_CODES.auth.code;
  return status >= 500 || status === 429 || status === 408 ? EXIT_CODES.unavailable.code : EXIT_CODES.usage.code;
}
