import { WorkerEntrypoint } from "cloudflare:workers";

export default class extends WorkerEntrypoint<{ NAME: string }> {
  async fetch(request: Request): Promise<Response> {
    this.ctx.waitUntil(Promise.resolve());
    return new Response(`${request.method} ${this.env.NAME}`);
  }
}
