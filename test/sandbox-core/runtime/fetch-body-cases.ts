/** Bodies, their types, and the fields that come with them. */
import { type Cases, said, saidOfAll } from "./fetch-cases.ts";

async function typesOf(object: Request | Response): Promise<unknown> {
  return [[...object.headers], (await object.clone().blob()).type, [...object.clone().headers]];
}

export const BODY_CASES: Cases = {
  "bodies of every kind": ({ Response }) => {
    const shared = new Uint8Array(new SharedArrayBuffer(1));
    const resizable = new Uint8Array(new ArrayBuffer(1, { maxByteLength: 2 } as never));
    const detached = new Uint8Array(1);
    structuredClone(detached, { transfer: [detached.buffer] });
    const form = new FormData();
    const iterable = {
      async *[Symbol.asyncIterator]() {
        yield new TextEncoder().encode("a");
      },
    };
    const bodies = [
      ...[shared, resizable, detached, new Uint8Array(), new Uint16Array([1]), new DataView(new ArrayBuffer(2))],
      ...[form, iterable, new URLSearchParams("a=b"), new Blob(["a"]), new Blob(["a"], { type: "b/c" })],
      ...[Object.create(Uint8Array.prototype), new String("a"), 1, true, [1, 2], () => 1, new Date(0), 1n],
      ...[Symbol.iterator, Object.create(null), new Response("a"), "\ud800a", "", null, undefined],
    ];
    return saidOfAll(
      bodies.map((body) => async () => {
        const response = new Response(body as never);
        const { type } = await response.clone().blob();
        return [type.replace(/\d{5,}/, "N"), response.body === null, (await response.text()).replace(/\d{5,}/g, "N")];
      }),
    );
  },
  "a type that is taken away": async ({ Response }) => {
    const responses = [new Response("a"), Response.json(1), new Response("a", { headers: { "content-type": "b/c" } })];
    for (const { headers } of responses) headers.delete("content-type");
    return Promise.all(responses.map(typesOf));
  },
  "a type that is taken away after a clone": async ({ Response }) => {
    const response = new Response("a");
    const copy = response.clone();
    response.headers.delete("content-type");
    return [await typesOf(response), await typesOf(copy)];
  },
  "a Request's type that is taken away": async ({ post, Request }) => {
    const text = new Request("http://a/", { method: "POST", body: "a" });
    post.headers.delete("content-type");
    text.headers.delete("content-type");
    return [await typesOf(post), await typesOf(text), await typesOf(new Request(post.clone()))];
  },
  "fields are one object, and live": ({ Response }) => {
    const response = new Response("a");
    const { headers } = response;
    response.clone();
    headers.append("set-cookie", "a");
    headers.append("set-cookie", "b");
    headers.append("x", "c");
    headers.append("x", "d");
    const copy = response.clone();
    return [headers === response.headers, headers.getSetCookie(), [...copy.headers], copy.headers === headers];
  },
  "fields that cannot be changed": async ({ Response, fetch }) =>
    saidOfAll(
      [Response.error(), Response.redirect("http://a/"), await fetch("data:,a"), Response.error().clone()].map(
        (one) => () => one.headers.set("a", "b"),
      ),
    ),
  "a Response of a Response": async ({ Response }) => {
    const one = new Response("a", { status: 201, statusText: "fine", headers: { b: "c" } });
    const two = new Response(one.body, one);
    return [two.status, two.statusText, [...two.headers], await two.text(), one.bodyUsed, await said(() => one.text())];
  },
  "a Response of a Response of fetch": async ({ Response, fetch }) => {
    const one = await fetch("data:text/x,a");
    const two = new Response(one.body, one);
    two.headers.set("b", "c");
    return [two.status, two.statusText, [...two.headers], two.url, one.url, one.type, two.type, await two.text()];
  },
  "a body that is read, locked or cancelled": ({ Response, post }) =>
    saidOfAll([
      async () => {
        const one = new Response("a");
        const reading = one.text();
        return [one.bodyUsed, await said(() => one.json()), await said(() => one.clone()), await reading];
      },
      async () => {
        const one = new Response("a");
        const reader = one.body?.getReader();
        return [one.bodyUsed, await said(() => one.text()), await said(() => one.clone()), await reader?.read()];
      },
      async () => {
        await post.body?.cancel();
        return [post.bodyUsed, await said(() => post.text()), await said(() => post.clone())];
      },
      () => new Response("{").json(),
      () => new Response("a").formData(),
      () => new Response(null).json(),
      async () => new Response(null).body,
    ]),
  "a Request that was read": async ({ post, Request }) => {
    await post.text();
    return saidOfAll([() => new Request(post), () => post.clone(), () => new Request(post, { body: "a" }).text()]);
  },
  "both halves of a clone": async ({ Response }) => {
    const one = new Response("ab".repeat(1_000));
    const two = one.clone();
    const three = two.clone();
    return [await two.text(), await one.text(), await three.text(), one.bodyUsed].map((part) => String(part).length);
  },
  forms: async ({ Response, Request }) => {
    const form = new FormData();
    form.append("a", "b");
    form.append("c", new File(["d"], "e.txt", { type: "text/x" }));
    const fields = async (one: Response | Request) => {
      const entries = [...(await one.formData())];
      return Promise.all(entries.map(async ([name, value]) => [name, value instanceof File ? value.name : value]));
    };
    return [
      await fields(new Response(form)),
      await fields(new Response(form).clone()),
      await fields(new Request("http://a/", { method: "POST", body: form })),
      await fields(new Response(new URLSearchParams("a=b&c=%20"))),
      await fields(new Response("a=b", { headers: { "content-type": "application/x-www-form-urlencoded" } })),
    ];
  },
  "a large body": async ({ Response }) => {
    const bytes = new Uint8Array(3 * 1024 * 1024).fill(7);
    const response = new Response(bytes);
    const copy = response.clone();
    return [(await response.arrayBuffer()).byteLength, (await copy.bytes()).reduce((sum, byte) => sum + byte, 0)];
  },
};
