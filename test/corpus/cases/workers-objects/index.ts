import { DurableObject } from "cloudflare:workers";
export class Counter extends DurableObject {
  async increment() { return 1; }
}
export default {
  async fetch(request: Request, env: { COUNTER: DurableObjectNamespace<Counter> }) {
    if (new URL(request.url).searchParams.has("count")) return Response.json(await env.COUNTER.getByName("a").increment());
    return new Response("no object needed");
  },
};
