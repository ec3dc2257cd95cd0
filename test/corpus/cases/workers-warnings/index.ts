import { DurableObject } from "cloudflare:workers";
export class Counter extends DurableObject {}
export default {
  async fetch(_request: Request, env: any) {
    await env.DB.prepare("SELECT 1").first();
    return new Response(await env.CACHE.get("a"));
  },
  scheduled() {},
};
