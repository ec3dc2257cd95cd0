/**
 * The event of API Gateway's HTTP APIs, payload format 2.0:
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
 */
import { isUtf8 } from "node:buffer";
import type { HeaderPairs, Request as WireRequest } from "../../../protocol/frames.ts";
import type { FunctionFacts } from "../handler.ts";

export type Fields = Record<string, string>;

interface LambdaEvent {
  version: "2.0";
  routeKey: string;
  rawPath: string;
  rawQueryString: string;
  cookies?: string[];
  headers: Fields;
  queryStringParameters?: Fields;
  requestContext: object;
  body?: string;
  isBase64Encoded: boolean;
}

/**
 * The event for a request; `path` is the part below the function's URL. Optional members are
 * absent, as in AWS.
 */
export function makeEvent2(request: WireRequest, body: Buffer, facts: FunctionFacts): LambdaEvent {
  const { rawPath, rawQueryString } = splitPath(request.path);
  const { headers, cookies } = joinHeaders(request.headers);
  if (request.traceparent !== null) headers.traceparent = request.traceparent;
  const event: LambdaEvent = {
    version: "2.0",
    routeKey: "$default",
    rawPath,
    rawQueryString,
    headers,
    requestContext: requestContext(request, rawPath, headers, facts),
    isBase64Encoded: false,
  };
  if (cookies.length > 0) event.cookies = cookies;
  if (rawQueryString !== "") event.queryStringParameters = joinQuery(rawQueryString);
  if (body.length > 0) Object.assign(event, bodyMembers(headers, body));
  return event;
}

/** Path and query, each as it was sent. */
export function splitPath(path: string): { rawPath: string; rawQueryString: string } {
  const queryAt = path.indexOf("?");
  if (queryAt < 0) return { rawPath: path, rawQueryString: "" };
  return { rawPath: path.slice(0, queryAt), rawQueryString: path.slice(queryAt + 1) };
}

/** A body as an event has it: text as it is, bytes in base64. */
export function bodyMembers(headers: Fields, body: Buffer): { body: string; isBase64Encoded: boolean } {
  const isBase64Encoded = !isText(headers, body);
  return { body: body.toString(isBase64Encoded ? "base64" : "utf8"), isBase64Encoded };
}

/** Headers of one name joined by commas, and cookies apart from them, each by itself. */
function joinHeaders(pairs: HeaderPairs): { headers: Fields; cookies: string[] } {
  const headers = new Map<string, string>();
  const cookies: string[] = [];
  for (const [name, value] of pairs) {
    if (name === "cookie") cookies.push(...value.split(/; */).filter((cookie) => cookie !== ""));
    else headers.set(name, headers.has(name) ? `${headers.get(name)},${value}` : value);
  }
  return { headers: Object.fromEntries(headers), cookies };
}

/** Decoded values; those of one name joined by commas. */
function joinQuery(rawQueryString: string): Fields {
  const fields = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(rawQueryString)) {
    fields.set(name, fields.has(name) ? `${fields.get(name)},${value}` : value);
  }
  // fromEntries defines fields, whatever they are called: "__proto__" in a query is one like any
  // other.
  return Object.fromEntries(fields);
}

function requestContext(request: WireRequest, path: string, headers: Fields, facts: FunctionFacts): object {
  const time = new Date();
  const domainName = headers.host ?? "";
  return {
    accountId: "anonymous",
    apiId: facts.functionName,
    domainName,
    domainPrefix: domainName.split(".", 1)[0],
    http: {
      method: request.method,
      path,
      protocol: "HTTP/1.1",
      sourceIp: request.remoteAddress,
      userAgent: headers["user-agent"] ?? "",
    },
    requestId: request.invocationId,
    routeKey: "$default",
    stage: "$default",
    time: commonLogTime(time),
    timeEpoch: time.getTime(),
  };
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** "12/Mar/2020:19:03:58 +0000" */
export function commonLogTime(time: Date): string {
  const [date, clock] = time.toISOString().split("T") as [string, string];
  const [year, month, day] = date.split("-") as [string, string, string];
  return `${day}/${MONTHS[Number(month) - 1]}/${year}:${clock.slice(0, 8)} +0000`;
}

const TEXT_TYPE = /^(?:text\/|application\/(?:[\w.+-]+\+)?(?:json|xml|javascript)\b)/i;

/**
 * Whether the body goes as it is: said to be text, and text indeed. All else is base64, form fields
 * too, as in AWS.
 */
function isText(headers: Fields, body: Buffer): boolean {
  if (headers["content-encoding"] !== undefined) return false;
  return TEXT_TYPE.test(headers["content-type"] ?? "") && isUtf8(body);
}
