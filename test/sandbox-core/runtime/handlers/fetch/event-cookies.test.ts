/** Cookies and header fields that an endpoint sets in its event, and that its answer has. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EventCookies } from "../../../../../sandbox-core/runtime/handlers/fetch/event-cookies.ts";
import { RuntimeClient } from "../../../../helpers/runtime-client.ts";

const HOST = new URL("https://a.example/");
const SAFE = "HttpOnly; Secure; SameSite=Lax";

test("cookies are read, set and deleted, and what is set is read", () => {
  const cookies = new EventCookies("a=1; b=%20; c=%", HOST);
  assert.deepEqual([cookies.get("b"), cookies.get("c"), cookies.has("d")], [" ", "%", false]);
  cookies.set("d", "x;y", { path: "/p", maxAge: 60 });
  cookies.set({ name: "e", value: { n: 1 }, httpOnly: false, sameSite: true, expires: new Date(0) });
  cookies.set("a", "2");
  cookies.delete("a", { domain: "a.example" });
  assert.deepEqual([cookies.get("d"), cookies.has("a"), cookies.getAll().length], ["x;y", false, 4]);
  assert.deepEqual(cookies.fields, [
    `d=x%3By; Max-Age=60; Path=/p; ${SAFE}`,
    "e=%7B%22n%22%3A1%7D; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Secure; SameSite=Strict",
    `a=2; Path=/; ${SAFE}`,
    `a=; Max-Age=0; Domain=a.example; Path=/; ${SAFE}`,
  ]);
  cookies.set("d", "z", { path: "/p" });
  assert.equal(cookies.fields.length, 4);
});

test("a cookie is secure where its page is", () => {
  for (const [url, isSecure] of [
    ["http://f.main.localhost:8787/", false],
    ["https://f.main.localhost/", true],
  ] as const) {
    assert.equal(new EventCookies("", new URL(url)).serialize("a", 1).includes("Secure"), isSecure, url);
  }
});

test("no field can be made of what would be another", () => {
  const cookies = new EventCookies("", HOST);
  assert.throws(() => cookies.set("a b", "1"), /cannot have the name 'a b'/);
  assert.throws(() => cookies.set("a", "1", { path: "/; Domain=b" }), /cannot have the Path/);
  assert.throws(() => cookies.set("a", "1", { domain: "b\r\nx: y" }), /cannot have the Domain/);
  assert.deepEqual(cookies.fields, []);
});

test("an endpoint's answer has them, whatever it returned, and its own fields count", async () => {
  await using runtime = await RuntimeClient.with(`
    export function GET({ request, cookies, setHeaders }) {
      cookies.set("a", "1", { path: "/" });
      setHeaders({ "x-a": "event", "x-b": "event" });
      return new URL(request.url).search ? Response.redirect("http://b/") : new Response("hi", { headers: { "x-a": "own" } });
    }
    export const POST = (request, context) => { context.cookies.delete("a"); return "text"; };`);
  const cookie = "a=1; Path=/; HttpOnly; SameSite=Lax";
  const { head } = await runtime.call();
  const fields = head?.headers.filter(([name]) => /^x-|cookie/.test(name));
  assert.deepEqual(fields, [
    ["x-a", "own"],
    ["x-b", "event"],
    ["set-cookie", cookie],
  ]);
  const moved = (await runtime.call({ path: "/?a" })).head;
  assert.deepEqual(moved?.headers.at(-1), ["set-cookie", cookie]);
  const deleted = (await runtime.call({ method: "POST" })).head;
  assert.deepEqual(deleted?.headers.at(-1), ["set-cookie", "a=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"]);
});
