/**
 * Every failure that leaves Sandpiper has a code out of this one table. docs/ERRORS.md is written
 * from the same facts, and a test keeps the two equal.
 */
import { ACCESS_ERRORS } from "./access-errors.ts";
import { DATA_ERRORS } from "./data-errors.ts";
import { DOMAIN_ERRORS } from "./domain-errors.ts";
import type { ErrorEntry } from "./error-entry.ts";
import { VERSION_ERRORS } from "./version-errors.ts";

export const ERRORS = {
  // Faults of what a client sent.
  UNAUTHENTICATED: {
    status: 401,
    message: "This needs a valid API key.",
    fix: "Send the header `authorization: Bearer sp_...` with a key of your tenant.",
  },
  NOT_OPERATOR: {
    status: 403,
    message: "This needs the operator's API key.",
    fix: "Use the key of SANDPIPER_BOOTSTRAP_KEY_FILE, which `npm start` keeps in its data directory, or ask whoever operates Sandpiper.",
  },
  FORBIDDEN: {
    status: 403,
    message: "The API key may not do that.",
    fix: "Use a key with the scope that the message names, or one that is not for single functions; `sandpiper whoami` shows what a key may do.",
  },
  ...ACCESS_ERRORS,
  ...DOMAIN_ERRORS,
  KEY_NOT_FOUND: {
    status: 404,
    message: "There is no key of that id.",
    fix: "Look at the id, the part of a key between its two underscores; `sandpiper key list` shows all.",
  },
  TENANT_NOT_FOUND: {
    status: 404,
    message: "There is no tenant of that name.",
    fix: "Look at the name; `sandpiper tenant list` shows all to the operator.",
  },
  TENANT_EXISTS: {
    status: 409,
    message: "The tenant's name is taken.",
    fix: "Choose another name, or wait as long as the message says: the name of a deleted tenant is free when none of its calls can run.",
  },
  TENANT_SUSPENDED: {
    status: 403,
    message: "The tenant is suspended: its functions are not called, and nothing of it can be changed.",
    fix: "Ask whoever operates Sandpiper; `sandpiper tenant resume` ends it, and all is as it was.",
  },
  INVALID_REQUEST: {
    status: 400,
    message: "The request is not one that this address understands.",
    fix: "Change what the message names; /v1/openapi.json describes every request.",
  },
  MALFORMED_REQUEST: {
    status: 400,
    message: "What arrived is no valid HTTP request.",
    fix: "Look at the client: a malformed request line, header field or body framing ends the connection.",
  },
  INVALID_NAME: {
    status: 400,
    message: "The name is not a valid one.",
    fix: "Use 1 to 63 of a-z, 0-9 and '-', neither first nor last a '-'.",
  },
  INVALID_CONFIG: {
    status: 400,
    message: "The function's configuration is not valid.",
    fix: "Correct the field that the message names in sandpiper.jsonc.",
  },
  INVALID_SOURCE: {
    status: 400,
    message: "The uploaded files are not a valid source tree.",
    fix: "Upload relative paths without `..`, within the limits of number and size, with the entry file among them.",
  },
  EVENT_REFUSED: {
    status: 400,
    message: "The function cannot take the event.",
    fix: "Send JSON in UTF-8, to a handler of the kind that takes events: docs/FUNCTIONS.md, Events.",
  },
  ROUTE_NOT_FOUND: {
    status: 404,
    message: "There is nothing at this address.",
    fix: "Functions are at /fn/<tenant>/<function>/ and on hosts of their own, the control API is described by /v1/openapi.json.",
  },
  UNKNOWN_HOST: {
    status: 421,
    message: "Nothing here has that host name.",
    fix: "Look at the host in the URL; `sandpiper list` shows those of functions. SANDPIPER_FUNCTION_DOMAIN is the domain of functions, SANDPIPER_PUBLIC_URL and SANDPIPER_GATEWAY_HOSTS name the gateway itself.",
  },
  METHOD_NOT_ALLOWED: {
    status: 405,
    message: "This address does not know that method.",
    fix: "Use one of the methods in the `allow` header of the answer.",
  },
  FUNCTION_NOT_FOUND: {
    status: 404,
    message: "There is no function of that name.",
    fix: "Look at the tenant and the name in the URL; `sandpiper list` shows what is deployed.",
  },
  INVOCATION_NOT_FOUND: {
    status: 404,
    message: "There is no record of that invocation.",
    fix: "Look at the id. Records appear when a call has ended, and the oldest are dropped.",
  },
  TRACE_NOT_FOUND: {
    status: 404,
    message: "There is no trace of that id.",
    fix: "Call with a sampled traceparent (`sandpiper invoke --trace`) and ask within ten minutes.",
  },
  BODY_TOO_LARGE: {
    status: 413,
    message: "The request body is larger than the limit.",
    fix: "Send less, or store the data elsewhere and send where it is. SANDPIPER_MAX_BODY_BYTES sets the limit.",
  },
  HEADERS_TOO_LARGE: {
    status: 431,
    message: "The request's header fields are larger than the limit.",
    fix: "Send fewer or smaller header fields: a function takes at most 128. SANDPIPER_MAX_HEADER_BYTES sets the limit of all together.",
  },
  URL_TOO_LONG: {
    status: 414,
    message: "The request's URL is longer than a function can take.",
    fix: "Send less in the URL, and more in the body: the URL may have 32,768 characters.",
  },
  REQUEST_TIMEOUT: {
    status: 408,
    message: "The request did not arrive in time.",
    fix: "Send the whole request without pauses.",
  },
  EXPECTATION_FAILED: {
    status: 417,
    message: "The request expects something that is not known here.",
    fix: "Send no `expect` header, or `expect: 100-continue`.",
  },
  CLIENT_GONE: {
    status: 499,
    message: "The client left before the answer was complete.",
    fix: "Nothing; it is seen in logs and records only. What the function does when its client leaves is in FUNCTIONS.md.",
  },
  UPGRADE_NOT_SUPPORTED: {
    status: 501,
    message: "Connections cannot be upgraded: functions answer requests and speak no WebSocket.",
    fix: "Use requests, or a streamed reply.",
  },
  TOO_MANY_REQUESTS: {
    status: 429,
    message: "This client's address sends more requests a second than it may.",
    fix: "Wait as long as `retry-after` says. SANDPIPER_MAX_CLIENT_REQUESTS_PER_SECOND sets the limit; behind a proxy, SANDPIPER_TRUSTED_PROXIES tells clients apart.",
  },
  TOO_MANY_CONNECTIONS: {
    status: 429,
    message: "This client's address has more connections than it may.",
    fix: "Use the connections that there are for more requests. SANDPIPER_MAX_CLIENT_CONNECTIONS sets the limit; behind a proxy, SANDPIPER_TRUSTED_PROXIES tells clients apart.",
  },
  TOO_MANY_FOLLOWERS: {
    status: 429,
    message: "Too many clients follow logs already.",
    fix: "End one of them, or read without `follow`.",
  },
  EGRESS_NOT_GRANTED: {
    status: 403,
    message: "The function declares an outgoing connection that its tenant is not granted.",
    fix: "Take the rule that the message names out of `egress`, or have the operator run the command in the message.",
  },
  CALL_QUOTA: {
    status: 429,
    message: "The tenant, or its function, has as many calls, or uses as much, as it may.",
    fix: "Call again after `retry-after`. The message names the limit; whoever operates Sandpiper sets it with `sandpiper quota set`.",
  },
  DEPLOY_QUOTA: {
    status: 429,
    message:
      "The tenant has as many functions, versions, deployments in an hour, instances kept warm, or reserved calls, as it may.",
    fix: "Delete a function, or deploy again later, as the message says which. Whoever operates Sandpiper sets the limit with `sandpiper quota set`.",
  },
  STORAGE_QUOTA: {
    status: 413,
    message: "The tenant has as many bytes of sources, bundles and secrets as it may.",
    fix: "Delete functions, old versions' aliases or secrets, or deploy less. Whoever operates Sandpiper sets the limit with `sandpiper quota set`.",
  },
  NAME_HELD: {
    status: 409,
    message: "The function's name is held by somebody else.",
    fix: "Choose another name, or end what holds it: `sandpiper dev`, or the function that is deployed.",
  },
  ...VERSION_ERRORS,
  ...DATA_ERRORS,
  // How a function's run ended.
  FUNCTION_ERROR: {
    status: 502,
    message: "The function threw an error.",
    fix: "Read the function's log: it has the error with its file and line.",
  },
  FUNCTION_EXITED: {
    status: 502,
    message: "The function ended its own process before it answered.",
    fix: "Do not call process.exit or process.abort; the function's log may tell more.",
  },
  INVALID_REPLY: {
    status: 502,
    message: "The function returned something that is no HTTP response.",
    fix: "Return a Response with a status of 200 to 599 and header fields without line breaks.",
  },
  REPLY_TOO_LARGE: {
    status: 502,
    message: "The function's reply is larger than the limit.",
    fix: "Reply with less, or in parts. SANDPIPER_MAX_REPLY_BYTES sets the limit.",
  },
  TIMEOUT: {
    status: 504,
    message: "The function did not answer within its time limit.",
    fix: "Do less in one call, or raise timeoutMs in sandpiper.jsonc.",
  },
  OUT_OF_MEMORY: {
    status: 502,
    message: "The function needed more memory than it has.",
    fix: "Use less memory, or raise memoryMiB in sandpiper.jsonc.",
  },
  KILLED: {
    status: 502,
    message: "The function's sandbox was ended from outside.",
    fix: "Look for a forbidden system call or a limit in the function's log, then call again.",
  },
  // Failures of the platform itself.
  SANDBOX_LOST: {
    status: 503,
    message: "The sandbox was lost while the function ran.",
    fix: "Call again if the function may run twice: it may have done its work.",
  },
  SANDBOX_UNAVAILABLE: {
    status: 503,
    message: "The worker could not make a sandbox.",
    fix: "Call again; the worker's log says what the kernel refused.",
  },
  MACHINE_BUSY: {
    status: 503,
    message: "The worker's machine was too busy to get the function ready.",
    fix: "Call again later, or start workers on more machines: the load of the machine is higher than its processors.",
  },
  WORKER_LOST: {
    status: 503,
    message: "The worker was lost while the function ran.",
    fix: "Call again if the function may run twice: it may have done its work.",
  },
  BODY_LOST: {
    status: 503,
    message: "A body was gone before it could be read.",
    fix: "Call again.",
  },
  EXPIRED: {
    status: 503,
    message: "No worker had room for the call in time.",
    fix: "Call again later, or start more workers. SANDPIPER_QUEUE_WAIT_MS sets how long a call may wait.",
  },
  NO_ANSWER: {
    status: 504,
    message: "No answer came within the longest time that a call can take.",
    fix: "Call again if the function may run twice: it may have done its work.",
  },
  QUEUE_UNAVAILABLE: {
    status: 503,
    message: "The queue is not reachable.",
    fix: "Call again after `retry-after`; if it stays so, see that Redis is running. The message says whether the call may have run.",
  },
  OVERLOADED: {
    status: 503,
    message: "There are more calls, or bytes of bodies, than can be served in time.",
    fix: "Call again after `retry-after`, or start more workers; where the message speaks of this gateway, more gateways.",
  },
  NO_WORKER: {
    status: 503,
    message: "No worker is alive.",
    fix: "See that a worker is running (/readyz says so), then call again: the call did not run.",
  },
  SHUTTING_DOWN: {
    status: 503,
    message: "This gateway is shutting down.",
    fix: "Call again.",
  },
  INTERNAL: {
    status: 500,
    message: "Something went wrong inside Sandpiper.",
    fix: "Look for the request id in the log of the gateway or worker, and report it.",
  },
} as const satisfies Record<string, ErrorEntry>;
