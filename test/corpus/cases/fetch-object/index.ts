interface Env { GREETING: string }
export default {
  async fetch(request: Request, env: Env, ctx: { waitUntil(work: Promise<unknown>): void }): Promise<Response> {
    ctx.waitUntil(Promise.resolve());
    const { name } = (await request.json()) as { name: string };
    return Response.json({ greeting: `${env.GREETING}, ${name}!` }, { status: 201 });
  },
};
