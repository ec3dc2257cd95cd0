export default {
  async fetch(request, env, ctx) {
    const cache = caches.default;
    const kept = await cache.match(request);
    if (kept) return kept;
    const response = new Response("made in " + (request.cf?.country ?? request.cf.colo ?? "nowhere"));
    ctx.waitUntil(cache.put(request, response.clone()));
    return response;
  },
};
