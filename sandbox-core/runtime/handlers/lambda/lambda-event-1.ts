/**
 * The event of API Gateway's REST APIs, and of HTTP APIs with the payload format 1.0:
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
 */
import type { HeaderPairs, Request as WireRequest } from "../../../protocol/frames.ts";
import type { FunctionFacts } from "../handler.ts";
import { bodyMembers, commonLogTime, type Fields, splitPath } from "./lambda-event.ts";

type Values = Record<string, string[]>;

/**
 * The event for a request to a resource that takes every path, `/{proxy+}`; `path` is the part
 * below the function's URL. Members without a value are null, as in AWS.
 */
export function makeEvent1(request: WireRequest, body: Buffer, facts: FunctionFacts): object {
  const { rawPath, rawQueryString } = splitPath(request.path);
  const pairs: HeaderPairs =
    request.traceparent === null ? request.headers : [...request.headers, ["traceparent", request.traceparent]];
  const multiValueHeaders = valuesOf(pairs);
  const headers = lastOf(multiValueHeaders);
  const query = valuesOf(new URLSearchParams(rawQueryString));
  const hasQuery = rawQueryString !== "";
  const resource = rawPath === "/" ? "/" : "/{proxy+}";
  return {
    version: "1.0",
    resource,
    path: rawPath,
    httpMethod: request.method,
    headers,
    multiValueHeaders,
    queryStringParameters: hasQuery ? lastOf(query) : null,
    multiValueQueryStringParameters: hasQuery ? query : null,
    pathParameters: rawPath === "/" ? null : { proxy: rawPath.slice(1) },
    stageVariables: null,
    requestContext: requestContext(request, { path: rawPath, resource, headers }, facts),
    ...(body.length > 0 ? bodyMembers(headers, body) : { body: null, isBase64Encoded: false }),
  };
}

/** All values of each name, in order. */
function valuesOf(pairs: Iterable<[string, string]>): Values {
  const values = new Map<string, string[]>();
  for (const [name, value] of pairs) {
    const known = values.get(name);
    if (known === undefined) values.set(name, [value]);
    else known.push(value);
  }
  // fromEntries defines members, whatever they are called.
  return Object.fromEntries(values);
}

function lastOf(values: Values): Fields {
  return Object.fromEntries(Object.entries(values).map(([name, list]) => [name, list.at(-1) as string]));
}

interface Place {
  path: string;
  resource: string;
  headers: Fields;
}

function requestContext(request: WireRequest, { path, resource, headers }: Place, facts: FunctionFacts): object {
  const time = new Date();
  const domainName = headers.host ?? "";
  return {
    accountId: "anonymous",
    apiId: facts.functionName,
    domainName,
    domainPrefix: domainName.split(".", 1)[0],
    extendedRequestId: request.invocationId,
    httpMethod: request.method,
    identity: { sourceIp: request.remoteAddress, userAgent: headers["user-agent"] ?? "" },
    path,
    protocol: "HTTP/1.1",
    requestId: request.invocationId,
    requestTime: commonLogTime(time),
    requestTimeEpoch: time.getTime(),
    resourceId: "proxy",
    resourcePath: resource,
    stage: "$default",
  };
}
