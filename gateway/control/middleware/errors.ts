/** Whatever a handler of the control API throws becomes an answer of the one shape. */
import type { ErrorHandler, NotFoundHandler } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { errorBody, SandpiperError } from "../../../functions/model/errors.ts";
import { SealError } from "../../../functions/secrets/cipher.ts";
import { publicError, retryAfter } from "../../http/error-reply.ts";
import type { Environment } from "../context.ts";

/** @param onInternalError told of what nobody foresaw, and why secrets cannot be opened. */
export function errors(onInternalError: (error: unknown, requestId: string) => void): ErrorHandler<Environment> {
  return (error, c) => {
    const shown = translated(error);
    if (shown.code === "INTERNAL" || shown.code === "SECRETS_UNREADABLE") onInternalError(error, c.var.requestId);
    const [name, value] = retryAfter(shown);
    if (name !== undefined) c.header(name, value);
    if (shown.code === "UNAUTHENTICATED") c.header("www-authenticate", "Bearer");
    return c.json(errorBody(shown, c.var.requestId), shown.status as ContentfulStatusCode);
  };
}

/** Errors of libraries, in our own words. */
function translated(error: Error): SandpiperError {
  // hono's own refusals: a body that is no JSON, or says that it is something else.
  if (error instanceof HTTPException && error.status < 500) {
    return new SandpiperError("INVALID_REQUEST", { message: `${error.message}.`, cause: error });
  }
  if (error instanceof SealError) return new SandpiperError("SECRETS_UNREADABLE", { cause: error });
  return publicError(error);
}

const METHODS = ["GET", "PUT", "POST", "PATCH", "DELETE"];

/**
 * Tells an address that does not exist from one that knows other methods.
 * @param knows whether some route takes this method and path.
 */
export function notFound(knows: (method: string, path: string) => boolean): NotFoundHandler<Environment> {
  return (c) => {
    const allowed = METHODS.filter((method) => knows(method, c.req.path));
    if (allowed.length > 0) c.header("allow", allowed.join(", "));
    const error = new SandpiperError(allowed.length > 0 ? "METHOD_NOT_ALLOWED" : "ROUTE_NOT_FOUND");
    return c.json(errorBody(error, c.var.requestId), error.status as ContentfulStatusCode);
  };
}
