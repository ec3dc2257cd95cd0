/** What classes and their members look like from outside, and what they say of wrong uses. */
import { inspect } from "node:util";
import { type Cases, type Kit, saidOfAll } from "./fetch-cases.ts";

type Loose = (...args: unknown[]) => unknown;

/**
 * Types of Node's say that members are fields, which a class that extends it could not override.
 */
declare class Extensible {
  constructor(...args: unknown[]);
  static json(...args: unknown[]): Response;
  static error(): Response;
  text(): Promise<string>;
  get status(): number;
  get url(): string;
}

/** An object's keys, and of each property its kind, flags, name and length. */
function shape(object: object): unknown {
  return Reflect.ownKeys(object).map((key) => {
    const { get, set, value, ...flags } = Object.getOwnPropertyDescriptor(object, key) as PropertyDescriptor;
    const parts = [get, set, value].map((part) =>
      typeof part === "function" ? [part.name, part.length, Object.hasOwn(part, "prototype")] : typeof part,
    );
    return [String(key), ...parts, flags];
  });
}

/**
 * Every member of a prototype, asked of an object that is none of the class, and of the prototype
 * itself.
 */
function membersOf({ prototype }: { prototype: object }): (() => unknown)[] {
  const strangers = [prototype, {}, 1, null, undefined, Object.create(prototype)];
  return Object.entries(Object.getOwnPropertyDescriptors(prototype)).flatMap(([, { get, value }]) =>
    strangers.map((stranger) => () => ((get ?? value) as Loose).call(stranger)),
  );
}

function wrongSettings({ Response }: Kit, make: (init: unknown) => unknown): (() => unknown)[] {
  const all: unknown[] = [
    ...[0, 99, 100, 199, 600, 65_736, -1, 200.5, "201", "x", null, {}, 204, 205, 304].map((status) => ({ status })),
    ...["ok", "", "ä", "a\nb", "€", 1, null, "\u007f"].map((statusText) => ({ statusText })),
    ...[{ "a b": "c" }, { a: "b\nc" }, { a: "€" }, [["a"]], [["a", "b", "c"]], "a", 1, null, { a: null }].map(
      (headers) => ({ headers }),
    ),
    { headers: new Map([["a", "b"]]) },
    { headers: [["a", "b"]].values() },
    ...[1, "a", true, Symbol.iterator, null, () => {}, [], new Response("x", { status: 201, headers: { a: "b" } })],
  ];
  return all.map((init) => async () => {
    const response = make(init) as Response;
    return [response.status, response.statusText, [...response.headers], await response.text()];
  });
}

/** Settings that tell in which order they are read, and how often. */
function watched(reads: unknown[]): ResponseInit {
  const values: Record<string, unknown> = { status: 201, statusText: "fine", headers: { a: "b" } };
  return new Proxy(values, {
    get(target, key) {
      reads.push(key);
      return target[String(key)];
    },
  });
}

export const CLASS_CASES: Cases = {
  "the shape of Response": ({ Response }) => [shape(Response), shape(Response.prototype), inspect(Response)],
  "the shape of Request": ({ Request }) => [shape(Request), shape(Request.prototype), inspect(Request)],
  "the shape of fetch": ({ fetch }) => [shape(fetch), fetch.name, fetch.length, inspect(fetch)],
  "globals are defined as they were": () =>
    ["Request", "Response", "fetch"].map((name) => {
      const { value, ...flags } = Object.getOwnPropertyDescriptor(globalThis, name) as PropertyDescriptor;
      return [typeof value, flags];
    }),
  "prototypes of what there is": async ({ Request, Response, fetch, get, post }) => {
    const responses = [
      new Response("a"),
      Response.json(1),
      Response.error(),
      Response.redirect("http://a/"),
      new Response("a").clone(),
      Response.json(1).clone(),
      await fetch("data:,a"),
    ];
    const requests = [get, post, new Request("http://a/"), new Request(get), get.clone(), post.clone()];
    return [
      ...responses.map((one) => [Object.getPrototypeOf(one) === Response.prototype, one.constructor === Response]),
      ...requests.map((one) => [Object.getPrototypeOf(one) === Request.prototype, one.constructor === Request]),
      Object.getPrototypeOf(Response) === Function.prototype,
      Object.getPrototypeOf(Response.prototype) === Object.prototype,
    ];
  },
  "own properties of what there is": ({ Response, get }) =>
    // Node keeps a symbol of its own in a Request with a signal.
    [new Response("a"), Response.json(1), get].map((one) => [Object.keys(one), JSON.stringify(one)]),
  "how it is shown": ({ Request, Response, get, post }) =>
    [new Response("a"), Response.json(1), Response.error(), get, post, new Request("http://a/")].flatMap((one) => [
      inspect(one),
      inspect(one, { depth: null, showHidden: true }),
      inspect({ one }, { depth: 0 }),
      Object.prototype.toString.call(one),
      String(one),
    ]),
  "members of what is none": ({ Response }) => saidOfAll(membersOf(Response)),
  "members of what is no Request": ({ Request }) => saidOfAll(membersOf(Request)),
  "calls without new": ({ Request, Response }) =>
    saidOfAll([Request, Response].map((one) => () => (one as unknown as Loose)("http://a/"))),
  "calls without what they need": ({ Request, Response, fetch }) =>
    saidOfAll([
      () => new (Request as never as new () => unknown)(),
      () => (Response.json as Loose)(),
      () => (Response.json as Loose)(undefined),
      () => (Response.json as Loose)(Symbol.iterator),
      () => (Response.json as Loose)(1n),
      () => (Response.redirect as Loose)(),
      () => Response.redirect("nothing"),
      () => Response.redirect("http://a/", 200 as never),
      () => (fetch as Loose)(),
      () => fetch("nothing"),
      () => fetch("http://a/", { body: "a" }),
      () => new (Response.json as never as new () => unknown)(),
      () => new (Response.prototype.text as never as new () => unknown)(),
    ]),
  "settings of a Response": (kit) => saidOfAll(wrongSettings(kit, (init) => new kit.Response("a", init as never))),
  "settings of an empty Response": (kit) =>
    saidOfAll(wrongSettings(kit, (init) => new kit.Response(null, init as never))),
  "settings of JSON": (kit) => saidOfAll(wrongSettings(kit, (init) => kit.Response.json({}, init as never))),
  "settings are read once, in one order": ({ Response }) => {
    const [one, two, three]: unknown[][] = [[], [], []];
    new Response("a", watched(one as unknown[]));
    new Response(new Blob(["a"]), watched(two as unknown[]));
    Response.json(1, watched(three as unknown[]));
    return [one, two, three];
  },
  "settings that throw": ({ Response }) =>
    new Response("a", {
      get status(): number {
        throw new RangeError("mine");
      },
    }),
  "what cannot be cloned": ({ Response, get, post }) =>
    saidOfAll(
      [new Response("a"), Response.json(1), get, post, Response.error(), { a: new Response() }].map(
        (one) => () => structuredClone(one),
      ),
    ),
  "classes of its own": async ({ Request, Response, get }) => {
    const [LooseResponse, LooseRequest] = [Response, Request] as unknown as (typeof Extensible)[];
    class Mine extends (LooseResponse as typeof Extensible) {
      #secret = 1;
      extra = 2;
      static override json(data: unknown): Response {
        return Response.json([data]);
      }
      secret(): number {
        return this.#secret;
      }
      override async text(): Promise<string> {
        return `mine ${await super.text()}`;
      }
    }
    class MyRequest extends (LooseRequest as typeof Extensible) {
      override get url(): string {
        return `${super.url}#mine`;
      }
    }
    const mine = new Mine("a", { status: 201 });
    return [
      [mine.secret(), mine.extra, mine.status, inspect(mine), inspect(Mine), await mine.text(), Mine.name, Mine.length],
      [mine instanceof Mine, mine instanceof Response, new Response("") instanceof Mine, Mine.error() instanceof Mine],
      [
        await Mine.json(1).text(),
        Object.getPrototypeOf(mine) === Mine.prototype,
        Object.getPrototypeOf(Mine) === Response,
      ],
      [new MyRequest(get).url, new MyRequest("http://a/").url, new Request(new MyRequest(get) as never).url],
      [
        Reflect.construct(Response, ["a"], Mine) instanceof Mine,
        Reflect.construct(Response, ["a"]) instanceof Response,
      ],
    ];
  },
  "a prototype that is extended": ({ Response, Request, get }) => {
    Object.defineProperty(Response.prototype, "extra", { configurable: true, get: () => 1 });
    Object.defineProperty(Request.prototype, "extra", { configurable: true, value: 2 });
    const all = [new Response("a"), Response.error(), get].map((one) => (one as unknown as { extra: number }).extra);
    Reflect.deleteProperty(Response.prototype, "extra");
    Reflect.deleteProperty(Request.prototype, "extra");
    return all;
  },
  "a static that is added": ({ Response }) => {
    const loose = Response as unknown as Record<string, unknown>;
    loose.mine = 1;
    const keys = Object.keys(loose);
    Reflect.deleteProperty(loose, "mine");
    return [keys, Object.keys(loose)];
  },
  "what fetch takes": async ({ Request, fetch, get }) =>
    saidOfAll([
      async () => (await fetch(new Request("data:,a"))).text(),
      async () => (await fetch(new URL("data:,b"))).text(),
      () => fetch(new Request("data:,a"), { method: "CONNECT" }),
      () => fetch(get, { signal: AbortSignal.abort(new Error("mine")) }),
      () => fetch(get, { body: "a" }),
    ]),
  "settings of a Request": ({ Request, get, post }) =>
    saidOfAll(
      [
        {},
        null,
        1,
        { method: "post" },
        { method: "" },
        { method: "TRACE" },
        { method: "patch" },
        { mode: "navigate" },
        { body: "a" },
        { headers: { a: "b" } },
        { signal: null },
        { signal: 1 },
        { window: 1 },
        { duplex: "half", method: "POST", body: new Blob(["a"]).stream() },
        { method: "POST", body: new Blob(["a"]).stream() },
      ].flatMap((init) => [
        async () => seenOf(new Request(get, init as never)),
        async () => seenOf(new Request(post.clone(), init as never)),
        async () => seenOf(new Request("http://a/b#c", init as never)),
      ]),
    ),
  "a Request as settings": async ({ Request, post }) => seenOf(new Request("http://a/", post as never)),
  "every part of a Request": ({ get, post }) => [get, post].map(seenOf),
  "what a body is once it was asked for": async ({ post, Response }) => {
    const response = new Response("a");
    const [a, b] = [post.body, response.body];
    return [a === post.body, b === response.body, a?.locked, post.bodyUsed, a instanceof ReadableStream];
  },
};

function seenOf(request: Request): unknown {
  const shown: Record<string, unknown> = {};
  for (const key in request) {
    const value = (request as unknown as Record<string, unknown>)[key];
    if (typeof value !== "function" && key !== "signal" && key !== "body") shown[key] = value;
  }
  return { ...shown, headers: [...request.headers], hasBody: request.body !== null, aborted: request.signal.aborted };
}
