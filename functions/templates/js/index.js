export default {
  // `env` holds the variables of "env" in sandpiper.jsonc; `ctx.waitUntil(promise)` lets work go on after the answer.
  async fetch(request, env, _ctx) {
    const url = new URL(request.url);
    const name = url.searchParams.get("name") ?? "world";
    console.log(`${request.method} ${url.pathname} for ${name}`);
    return Response.json({ message: `${env.GREETING}, ${name}!` });
  },
};
