/**
 * What functions may do with Request, Response and fetch. Each case must give the same in a sandbox
 * as in plain Node.
 */
import { inspect } from "node:util";

export interface Kit {
  Request: typeof Request;
  Response: typeof Response;
  fetch: typeof fetch;
  /** A GET as a call brings it. */
  get: Request;
  /** A POST with a JSON body. */
  post: Request;
  /** Ends what the calls are for. */
  abort: () => void;
}

export type Cases = Record<string, (kit: Kit) => unknown>;

/** The result, or the words of what it throws, now or later. */
export async function said(run: () => unknown): Promise<unknown> {
  try {
    return await run();
  } catch (error) {
    return `${(error as Error).name} ${(error as Error).message}`;
  }
}

export const saidOfAll = (runs: (() => unknown)[]) => Promise.all(runs.map(said));

/** What can be seen of a Request or Response from outside, its body included. */
async function seen(object: Request | Response): Promise<unknown> {
  const shown: Record<string, unknown> = {};
  for (const key in object) {
    const value = (object as unknown as Record<string, unknown>)[key];
    if (typeof value !== "function" && key !== "signal" && key !== "body" && key !== "headers") shown[key] = value;
  }
  return { ...shown, headers: [...object.headers], hasBody: object.body !== null, text: await object.text() };
}

function same<T>(object: T, key: keyof T): boolean {
  const first = object[key];
  return first === object[key];
}

async function pieces({ body }: Request): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const piece of body as AsyncIterable<unknown>) all.push(piece);
  return all;
}

export const CASES: Cases = {
  "all of a GET": ({ get }) => seen(get),
  "all of a POST": ({ post }) => seen(post),
  "what is shown of both": ({ get, post, Response }) =>
    inspect([get, post, new Response("a", { status: 201 })], { depth: 5 }),
  classes: ({ get, post, Request, Response }) => [
    ...[get, post, new Request("http://a/"), get.clone()].map((one) => one instanceof Request),
    ...[
      new Response(),
      Response.json(1),
      Response.error(),
      Response.redirect("http://a/"),
      new Response("a").clone(),
    ].map((one) => one instanceof Response),
    [{}, null, "a", get].map((one) => (one as unknown) instanceof Response),
    [Request.name, Request.length, Response.name, Response.length, String(get), Object.keys(get)],
  ],
  "bodies as JSON, text, bytes, blob and buffer": async (kit) => [
    await kit.post.clone().json(),
    await kit.post.clone().text(),
    [...(await kit.post.clone().bytes())],
    [(await kit.post.clone().blob()).type, (await kit.post.clone().blob()).size],
    (await kit.post.arrayBuffer()).byteLength,
    kit.post.bodyUsed,
  ],
  "a body that is read twice": async ({ post }) => [await post.text(), await post.text()],
  "a body as a stream": async ({ post }) => [post.bodyUsed, await pieces(post), post.bodyUsed, same(post, "body")],
  "no body": async ({ get }) => [
    get.body,
    get.bodyUsed,
    await get.text(),
    await get.text(),
    get.bodyUsed,
    await get.json(),
  ],
  "fields that are changed": async ({ get, post, Request }) => {
    get.headers.append("accept", "c");
    get.headers.set("x-more", "1");
    get.headers.delete("host");
    const copy = new Request(get);
    get.headers.set("x-more", "2");
    const again = new Request(get, { method: "PUT", body: "a" });
    post.headers.set("content-type", "text/a");
    return [
      [...copy.headers],
      [...again.headers],
      [...get.clone().headers],
      same(get, "headers"),
      (await post.blob()).type,
    ];
  },
  "a clone lives by itself": async ({ post }) => {
    const copy = post.clone();
    copy.headers.set("x-copy", "1");
    return [await copy.text(), await post.text(), post.headers.has("x-copy"), copy.url === post.url];
  },
  "a Request of a Request": async ({ get, post, Request }) => [
    await seen(new Request(get)),
    await seen(new Request(get, { headers: { a: "b" }, method: "DELETE" })),
    await seen(new Request(post)),
    post.bodyUsed,
  ],
  "fetch of a Request": async ({ Request, fetch }) => seen(await fetch(new Request("data:text/plain,a"))),
  signals: ({ get, post, Request, abort }) => {
    const before = [get.signal.aborted, same(get, "signal")];
    const derived = new Request(get);
    abort();
    return [before, get.signal.aborted, String(get.signal.reason), post.signal.aborted, derived.signal.aborted];
  },
  subclasses: async ({ Request, Response, get }) => {
    class MyRequest extends Request {}
    class MyResponse extends Response {}
    Object.defineProperty(MyRequest.prototype, "url", { get: () => "mine" });
    Object.defineProperty(MyResponse.prototype, "status", { get: () => 418 });
    const [request, response] = [new MyRequest(get), new MyResponse("a")];
    const classes = [
      request instanceof MyRequest,
      request instanceof Request,
      get instanceof MyRequest,
      response instanceof MyResponse,
    ];
    return [
      request.url,
      response.status,
      classes,
      await response.text(),
      (new Response() as unknown) instanceof MyResponse,
    ];
  },
  "an empty Response": ({ Response }) => seen(new Response()),
  "a text": ({ Response }) => seen(new Response("aä\ud800")),
  "an empty text": ({ Response }) => seen(new Response("")),
  "bytes, and what becomes of them later": async ({ Response }) => {
    const bytes = new Uint8Array([1, 2, 3]);
    const response = new Response(bytes.subarray(1));
    bytes.fill(9);
    return [[...response.headers], [...(await response.bytes())]];
  },
  "a buffer": ({ Response }) => seen(new Response(Buffer.from("a"), { headers: { "content-type": "a/b" } })),
  "a status and fields": ({ Response }) =>
    seen(new Response("a", { status: 404, headers: { "X-A": " b ", "set-cookie": "c" } })),
  "a type of its own": ({ Response }) => seen(new Response("a", { headers: [["Content-Type", "text/html"]] })),
  "fields of another Response": ({ Response }) =>
    seen(new Response("a", { headers: new Response("b", { headers: { c: "d" } }).headers })),
  cookies: ({ Response }) => {
    const { headers } = new Response(null, {
      status: 204,
      headers: [
        ["set-cookie", "a"],
        ["set-cookie", "b"],
      ],
    });
    return [headers.getSetCookie(), [...headers]];
  },
  "a status text": ({ Response }) => seen(new Response("a", { statusText: "fine" })),
  "a status as a text": ({ Response }) => seen(new Response("a", { status: "201" as never })),
  "settings that are null": ({ Response }) => seen(new Response("a", null as never)),
  "settings that are undefined": ({ Response }) =>
    seen(new Response(undefined, { status: undefined, headers: undefined } as never)),
  "other bodies": ({ Response }) =>
    Promise.all(
      [new URLSearchParams({ a: "b" }), new Blob(["a"], { type: "b/c" }), new Uint8Array([65]).buffer, 1, {}].map(
        (body) => seen(new Response(body as never)),
      ),
    ),
  "a stream": ({ Response }) => seen(new Response(new Blob(["a"]).stream())),
  JSON: ({ Response }) => seen(Response.json({ a: [1, "ä"] })),
  "JSON with settings": ({ Response }) =>
    seen(Response.json(null, { status: 201, headers: { "content-type": "a/b", c: "d" } })),
  "an error and a redirection": async ({ Response }) => [
    await seen(Response.error()),
    await seen(Response.redirect("http://a/b", 301)),
  ],
  "fields of a Response that are changed": async ({ Response }) => {
    const response = new Response("a");
    response.headers.set("x-a", "b");
    const first = await seen(response.clone());
    response.headers.set("content-type", "c/d");
    return [first, (await response.clone().blob()).type, same(response, "headers"), [...response.clone().headers]];
  },
  "a Response that is read": async ({ Response }) => {
    const response = new Response("a");
    return [response.bodyUsed, await response.text(), response.bodyUsed, await response.text()];
  },
  "WebAssembly out of a Response": async ({ Response }) => {
    const wasm = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
    const headers = { "content-type": "application/wasm" };
    const { WebAssembly } = globalThis as unknown as {
      WebAssembly: { compileStreaming(from: Response): Promise<unknown> };
    };
    return String(await WebAssembly.compileStreaming(new Response(wasm, { headers })));
  },
  "no URL": ({ Request }) => new Request("nothing"),
  "no method": ({ Request }) => new Request("http://a/", { method: "CONNECT" }),
  "a field that cannot be": ({ Response }) => new Response("a", { headers: { "a b": "c" } }),
  "a status that cannot be": ({ Response }) => new Response("a", { status: 99 }),
  "a status of nothing with something": ({ Response }) => new Response("a", { status: 204 }),
  "JSON with a status of nothing": ({ Response }) => Response.json(1, { status: 304 }),
  "what cannot be JSON": ({ Response }) => Response.json(undefined),
  "JSON of a circle": ({ Response }) => {
    const circle: unknown[] = [];
    circle.push(circle);
    return Response.json(circle);
  },
  "settings that are none": ({ Response }) => new Response("a", 1 as never),
  "not called as a constructor": ({ Response }) => (Response as unknown as () => unknown)(),
  "a method of nothing": ({ Response }) => (Response.prototype.text as () => unknown).call({}),
};
