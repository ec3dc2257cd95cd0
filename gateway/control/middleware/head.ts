/**
 * Ends the body of an answer to HEAD. hono answers HEAD as GET and drops the body, and a stream
 * that nobody reads or cancels would keep what it reads from for ever.
 */
import { createMiddleware } from "hono/factory";
import type { Environment } from "../context.ts";

export const endHeadBody = createMiddleware<Environment>(async (c, next) => {
  await next();
  if (c.req.method === "HEAD") await c.res.body?.cancel();
});
