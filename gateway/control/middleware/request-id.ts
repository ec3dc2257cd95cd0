/** Names a request, so that its answer and our logs can be put together. */
import { randomUUID } from "node:crypto";
import { createMiddleware } from "hono/factory";
import type { Environment } from "../context.ts";

export const requestId = createMiddleware<Environment>(async (c, next) => {
  const id = randomUUID();
  c.set("requestId", id);
  await next();
  c.res.headers.set("x-request-id", id);
});
