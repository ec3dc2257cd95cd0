/**
 * Refuses changes of data that is not this gateway's to change: a newer Sandpiper has moved it to a
 * form that this one does not know, and replaces it soon; or a backup takes its place right now.
 */
import { createMiddleware } from "hono/factory";
import { SandpiperError } from "../../../functions/model/errors.ts";
import { refuseNewerData } from "../../../functions/store/form/data-form.ts";
import { lockedWork } from "../../../functions/store/gc-lock.ts";
import type { ControlParts, Environment } from "../context.ts";

const READS = ["GET", "HEAD"];

/** Paths by which backups are restored. */
const RESTORES = "/v1/restores/";

/** @throws SandpiperError DATA_TOO_NEW, RESTORE_RUNNING */
export function dataFence({ redis }: Pick<ControlParts, "redis">) {
  return createMiddleware<Environment>(async (c, next) => {
    if (!READS.includes(c.req.method)) {
      const [work] = await Promise.all([lockedWork(redis), refuseNewerData(redis)]);
      const isOther = work === "restore" && !c.req.path.startsWith(RESTORES);
      if (isOther) throw new SandpiperError("RESTORE_RUNNING");
    }
    await next();
  });
}
