/**
 * Runs the cases, in plain Node or with what a sandbox has in its place, and prints what each gave
 * as a line of JSON.
 */
import { inspect } from "node:util";
import { BODY_CASES } from "./fetch-body-cases.ts";
import { CASES, type Cases, type Kit } from "./fetch-cases.ts";
import { CLASS_CASES } from "./fetch-class-cases.ts";

const URL_OF_CALL = "http://localhost:8080/fn/main/hello/a%20b?c=d&e=ä";
const FIELDS: [string, string][] = [
  ["host", "localhost:8080"],
  ["accept", "a"],
  ["accept", "b"],
  ["content-type", "application/json"],
  ["x-latin", "\u00ff"],
];
const jsonBody = () => new TextEncoder().encode('{"a":1}');

type RequestMaker = (method: string, body: Uint8Array<ArrayBuffer> | null, signal: AbortSignal) => Request;

async function requestMaker(): Promise<RequestMaker> {
  const [url, headers] = [URL_OF_CALL, FIELDS];
  if (process.argv[2] === "node") return (method, body, signal) => new Request(url, { method, headers, body, signal });
  const { installFetchObjects } = await import("../../../sandbox-core/runtime/fetch/globals.ts");
  const { requestOf } = await import("../../../sandbox-core/runtime/fetch/request.ts");
  installFetchObjects();
  return (method, body, signal) =>
    requestOf({ method, url, headers, body: body === null ? null : { body }, signal: () => signal });
}

const makeRequest = await requestMaker();

function kit(): Kit {
  const controller = new AbortController();
  return {
    Request,
    Response,
    fetch,
    get: makeRequest("GET", null, controller.signal),
    post: makeRequest("POST", jsonBody(), controller.signal),
    abort: () => controller.abort(new Error("over")),
  };
}

/** The value of a case, or its error's class and words. */
async function outcome(run: Cases[string]): Promise<string> {
  try {
    return inspect(await run(kit()), { depth: 10, breakLength: 200, maxArrayLength: null, maxStringLength: 2_000 });
  } catch (error) {
    return `throws ${inspect((error as Error).constructor)} ${(error as Error).name}: ${(error as Error).message}`;
  }
}

for (const [name, run] of Object.entries({ ...CASES, ...BODY_CASES, ...CLASS_CASES })) {
  console.log(JSON.stringify([name, await outcome(run)]));
}
