/** What an application of a framework is to the comparison. */

/** A request that is made of the function and of plain Node. */
export interface AppRequest {
  path: string;
  method?: string;
  headers?: Record<string, string>;
  body?: string;
}

export interface App {
  name: string;
  /** npm's names and versions. */
  packages: readonly string[];
  /** The application's files, by path. */
  files: Readonly<Record<string, string>>;
  /** The module that is deployed and run. */
  entry: string;
  /** Programs of its packages that make the entry, with their arguments, and their environment. */
  build?: readonly { argv: readonly [string, ...string[]]; env?: Readonly<Record<string, string>> }[];
  /** Fields of sandpiper.jsonc beside name and entry. */
  config?: Readonly<Record<string, unknown>>;
  /**
   * How plain Node runs the module: it listens itself (`server`), or its default export is served
   * as what takes a Request (`fetch`), or as a listener of requests (`listener`).
   */
  runs: "server" | "fetch" | "listener";
  /** The module that plain Node runs instead, as a server: the framework's own way there. */
  plain?: string;
  requests: readonly AppRequest[];
}

const JSON_BODY = { "content-type": "application/json" };

/** A request with a body of JSON. */
export function postJson(path: string, value: unknown): AppRequest {
  return { path, method: "POST", headers: JSON_BODY, body: JSON.stringify(value) };
}

/** Requests that every application with routes of these paths answers in its own way. */
export const ROUTES: readonly AppRequest[] = [
  { path: "/" },
  { path: "/hello?name=Ada%20L" },
  { path: "/items/42" },
  { path: "/items/a%2Fb" },
  { path: "/", method: "HEAD" },
  { path: "/", method: "OPTIONS" },
  { path: "/nowhere" },
  { path: "/cookies", headers: { cookie: "a=1; b=2" } },
  { path: "/moved" },
  postJson("/echo", { text: "grüße", list: [1, 2, 3] }),
  { path: "/echo", method: "POST", headers: JSON_BODY, body: "{" },
  { path: "/stream" },
  { path: "/fails" },
];
