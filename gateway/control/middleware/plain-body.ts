/** Refuses bodies that are encoded, such as compressed ones: they would be read as they are. */
import { createMiddleware } from "hono/factory";
import { SandpiperError } from "../../../functions/model/errors.ts";
import type { Environment } from "../context.ts";

/** @throws SandpiperError INVALID_REQUEST for a `content-encoding` (RFC 9110, section 8.4) */
export const plainBody = createMiddleware<Environment>(async (c, next) => {
  const encoding = c.req.header("content-encoding")?.trim().toLowerCase() ?? "";
  if (encoding !== "" && encoding !== "identity") {
    const message = "The body has a content-encoding, and the control API takes none: send the body as it is.";
    throw new SandpiperError("INVALID_REQUEST", { message });
  }
  await next();
});
