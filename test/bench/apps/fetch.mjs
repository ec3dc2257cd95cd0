/**
 * For everything that takes a module with `fetch`: workerd, miniflare, Deno, and Sandpiper, where a
 * function's path comes first.
 */
import { BINARY, HELLO, ITEMS } from "./payloads.mjs";

export default {
  fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname.endsWith("/json")) return Response.json(ITEMS);
    if (pathname.endsWith("/binary"))
      return new Response(BINARY, { headers: { "content-type": "application/octet-stream" } });
    return new Response(HELLO);
  },
};
