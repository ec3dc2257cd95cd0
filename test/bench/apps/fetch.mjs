/** For everything that takes a module with `fetch`: workerd, miniflare, Deno. */
import { BINARY, HELLO, ITEMS } from "./payloads.mjs";

export default {
  fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === "/json") return Response.json(ITEMS);
    if (pathname === "/binary")
      return new Response(BINARY, { headers: { "content-type": "application/octet-stream" } });
    return new Response(HELLO);
  },
};
