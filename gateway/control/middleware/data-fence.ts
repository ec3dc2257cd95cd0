/**
 * Refuses changes of data that is not this gateway's to change: a newer Sandpiper has moved it to a
 * form that this one does not know, and replaces it soon.
 */
import { createMiddleware } from "hono/factory";
import { refuseNewerData } from "../../../functions/store/form/data-form.ts";
import type { ControlParts, Environment } from "../context.ts";

const READS = ["GET", "HEAD"];

/** @throws SandpiperError DATA_TOO_NEW */
export function dataFence({ redis }: Pick<ControlParts, "redis">) {
  return createMiddleware<Environment>(async (c, next) => {
    if (!READS.includes(c.req.method)) await refuseNewerData(redis);
    await next();
  });
}
