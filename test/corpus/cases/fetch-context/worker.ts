export default {
  async fetch(_request: Request, _env: unknown, ctx: ExecutionContext): Promise<Response> {
    ctx.passThroughOnException();
    ctx.waitUntil(new Promise((resolve) => setTimeout(resolve, 1)));
    return Response.json({ props: ctx.props });
  },
} satisfies ExportedHandler;
