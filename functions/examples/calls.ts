/**
 * For each example, calls and the answers they must get, as data: tests make all of them, and `npm start` makes the first
 * of `hello` to see that everything works.
 */
import { fileURLToPath } from "node:url";

export interface ExampleCall {
  /** What the call shows, as the end of "it ...". */
  shows: string;
  method: string;
  /** Below the function's URL, with the query. */
  path: string;
  headers?: Record<string, string>;
  body?: Uint8Array | string;
  expected: {
    status: number;
    /** Header fields that must be there, by lower-case name; a list stands for fields of one name, in order. */
    headers?: Record<string, string | string[]>;
    /** The body must be: these bytes, this text, this JSON, or accepted by this function. */
    body: { bytes: Uint8Array } | { text: string } | { json: unknown } | { check: (body: Uint8Array) => boolean };
  };
}

export interface Example {
  /** The function's name, and the directory beside this file. */
  name: string;
  directory: string;
  calls: [ExampleCall, ...ExampleCall[]];
}

const JSON_TYPE = { "content-type": "application/json" };

/** Two pixels, red and blue, as PNG. */
const RED_AND_BLUE_PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAIAAAB7QOjdAAAADUlEQVR4XmP4zwAE/wEHAAH/XrzY1gAAAABJRU5ErkJggg==",
  "base64",
);

const hello = example("hello", [
  call("greets the world", "GET", "/", { status: 200, body: { text: "Hello, world!\n" } }),
  call("greets by name", "GET", "/?name=Ada%20L.", { status: 200, body: { text: "Hello, Ada L.!\n" } }),
]);

const honoApp = example("hono-app", [
  call("shows a page with links to its routes", "GET", "/", {
    status: 200,
    headers: { "content-type": "text/html; charset=UTF-8" },
    body: { check: (body) => /href="\/(fn\/\w+\/hono-app\/)?birds\/sandpiper"/.test(Buffer.from(body).toString()) },
  }),
  call("answers a route with a parameter", "GET", "/birds/dunlin", {
    status: 200,
    headers: JSON_TYPE,
    body: { json: { name: "dunlin", habit: "flies in clouds of thousands" } },
  }),
  call("answers an error of its own with JSON", "GET", "/birds/dodo", {
    status: 404,
    body: { json: { error: "no bird is called dodo" } },
  }),
  call("answers an unknown route with 404", "GET", "/nothing/here", { status: 404, body: { text: "404 Not Found" } }),
  call(
    "sets several cookies",
    "GET",
    "/visit",
    {
      status: 200,
      headers: { "set-cookie": ["visits=3; Path=/", "last=visit; Path=/"] },
      body: { text: "visit 3" },
    },
    { headers: { cookie: "visits=2" } },
  ),
  call("answers without a body", "DELETE", "/visit", { status: 204, body: { text: "" } }),
  call(
    "echoes every byte value",
    "POST",
    "/echo",
    { status: 200, body: { bytes: everyByte() } },
    { body: everyByte() },
  ),
]);

const ordersApi = example("orders-api", [
  call(
    "adds up an order",
    "POST",
    "/",
    {
      status: 201,
      headers: JSON_TYPE,
      body: { json: { customer: "Ada", totalCents: 1320, currency: "EUR" } },
    },
    jsonBody({
      customer: "Ada",
      lines: [
        { item: "tea", count: 2 },
        { item: "cake", count: 2 },
      ],
    }),
  ),
  call(
    "refuses an order that the schema refuses",
    "POST",
    "/",
    {
      status: 422,
      body: { check: (body) => "lines" in JSON.parse(Buffer.from(body).toString()).error.fieldErrors },
    },
    jsonBody({ customer: "Ada", lines: [{ item: "gold", count: 2 }] }),
  ),
  call(
    "refuses what is not JSON",
    "POST",
    "/",
    { status: 400, body: { json: { error: "the body is not JSON" } } },
    {
      body: "{",
    },
  ),
  call("lists its prices", "GET", "/", {
    status: 200,
    body: { json: { prices: { tea: 250, coffee: 320, cake: 410 }, currency: "EUR" } },
  }),
]);

const image = example("image", [
  call(
    "turns colours into shades of grey",
    "POST",
    "/",
    {
      status: 200,
      headers: { "content-type": "image/png" },
      body: { check: (body) => isGreyPng(body) },
    },
    { body: RED_AND_BLUE_PNG, headers: { "content-type": "image/png" } },
  ),
  call(
    "refuses what is no PNG",
    "POST",
    "/",
    { status: 415, body: { text: "this is no PNG image\n" } },
    { body: "GIF89a" },
  ),
]);

const lambdaGreeter = example("lambda-greeter", [
  call("answers an event with cookies", "GET", "/?name=Ada", {
    status: 200,
    headers: {
      ...JSON_TYPE,
      "set-cookie": ["greeted=Ada; Path=/", "polite=yes; Path=/"],
    },
    body: { json: { message: "Hello, Ada!", functionName: "lambda-greeter" } },
  }),
  call(
    "reads a body",
    "POST",
    "/deep/path",
    {
      status: 200,
      body: { json: { message: "Hello, Grace!", functionName: "lambda-greeter" } },
    },
    { body: "Grace", headers: { "content-type": "text/plain" } },
  ),
]);

const textStream = example("text-stream", [
  call("streams all of the text", "GET", "/?pauseMs=1", {
    status: 200,
    headers: { "content-type": "text/plain; charset=utf-8" },
    body: {
      text: [
        "Across the narrow beach we flit,",
        "One little sandpiper and I,",
        "And fast I gather, bit by bit,",
        "The scattered driftwood bleached and dry.",
        "",
      ].join("\n"),
    },
  }),
]);

/** All examples; `hello` is the first. */
export const EXAMPLES: readonly [Example, ...Example[]] = [hello, honoApp, ordersApi, image, lambdaGreeter, textStream];

/** What is wrong with an answer to a call, or null when it is as expected. Header names are lower case. */
export function mismatch(
  { expected }: ExampleCall,
  answer: { status: number; headers: readonly (readonly [string, string])[]; body: Uint8Array },
): string | null {
  if (answer.status !== expected.status)
    return `status ${answer.status} and not ${expected.status}: ${shown(answer.body)}`;
  for (const [name, value] of Object.entries(expected.headers ?? {})) {
    const given = answer.headers.filter(([field]) => field.toLowerCase() === name).map(([, text]) => text);
    const wanted = typeof value === "string" ? [value] : value;
    if (JSON.stringify(given) !== JSON.stringify(wanted))
      return `header ${name}: ${given.join(" | ")}, not ${wanted.join(" | ")}`;
  }
  return matches(expected.body, answer.body) ? null : `another body: ${shown(answer.body)}`;
}

function matches(expected: ExampleCall["expected"]["body"], body: Uint8Array): boolean {
  if ("bytes" in expected) return Buffer.compare(expected.bytes, body) === 0;
  if ("text" in expected) return Buffer.from(body).toString() === expected.text;
  if ("check" in expected) return expected.check(body);
  return JSON.stringify(JSON.parse(Buffer.from(body).toString())) === JSON.stringify(expected.json);
}

function example(name: string, calls: Example["calls"]): Example {
  return { name, directory: fileURLToPath(new URL(name, import.meta.url)), calls };
}

function call(
  shows: string,
  method: string,
  path: string,
  expected: ExampleCall["expected"],
  request: Pick<ExampleCall, "headers" | "body"> = {},
): ExampleCall {
  return { shows, method, path, ...request, expected };
}

function jsonBody(value: unknown): Pick<ExampleCall, "headers" | "body"> {
  return { body: JSON.stringify(value), headers: JSON_TYPE };
}

function everyByte(): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, index) => index);
}

/** Whether it is a PNG of two pixels and colour type 0: the header's bytes at their places (PNG, section 11.2.1). */
function isGreyPng(body: Uint8Array): boolean {
  const png = Buffer.from(body);
  return png.length > 33 && png.readUInt32BE(16) === 2 && png.readUInt32BE(20) === 1 && png[25] === 0;
}

function shown(body: Uint8Array): string {
  return JSON.stringify(Buffer.from(body).toString().slice(0, 200));
}
