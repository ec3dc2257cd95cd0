/** The control API, put together. Functions' URLs do not come here: see server.ts. */
import { OpenAPIHono } from "@hono/zod-openapi";
import { SandpiperError } from "../../functions/model/errors.ts";
import { type Issue, plainIssues, sentenceOf } from "../../functions/model/issues.ts";
import type { ControlParts, Environment } from "./context.ts";
import { audit } from "./middleware/audit.ts";
import { auth } from "./middleware/auth.ts";
import { authorize } from "./middleware/authorize.ts";
import { dataFence } from "./middleware/data-fence.ts";
import { deletionFence } from "./middleware/deletion-fence.ts";
import { errors, notFound } from "./middleware/errors.ts";
import { endHeadBody } from "./middleware/head.ts";
import { plainBody } from "./middleware/plain-body.ts";
import { requestId } from "./middleware/request-id.ts";
import { auditRoutes } from "./routes/audit.ts";
import { backupRoutes } from "./routes/backup.ts";
import { domainCheckRoutes, domainRoutes } from "./routes/domains.ts";
import { egressRoutes } from "./routes/egress.ts";
import { eventRoutes } from "./routes/events.ts";
import { functionRoutes } from "./routes/functions.ts";
import { gcRoutes } from "./routes/gc.ts";
import { healthRoutes } from "./routes/health.ts";
import { holdRoutes } from "./routes/holds.ts";
import { keyRoutes } from "./routes/keys.ts";
import { logRoutes } from "./routes/logs.ts";
import { openapiRoutes, whoamiRoutes } from "./routes/openapi.ts";
import { quotaRoutes } from "./routes/quotas.ts";
import { secretRoutes } from "./routes/secrets.ts";
import { signedUrlRoutes } from "./routes/signed-urls.ts";
import { sourceRoutes } from "./routes/sources.ts";
import { tenantRoutes } from "./routes/tenants.ts";
import { traceRoutes } from "./routes/traces.ts";
import { usageRoutes } from "./routes/usage.ts";
import { versionRoutes } from "./routes/versions.ts";

/** hono's application for everything but functions' URLs. */
export function createApp(parts: ControlParts): OpenAPIHono<Environment> {
  const app = new OpenAPIHono<Environment>({
    defaultHook(result) {
      if (!result.success) throw invalid(result.target, result.error.issues);
    },
  });
  app.onError(errors(parts.onInternalError));
  const knows = (method: string, path: string): boolean => takes(app, method, path);
  app.notFound(notFound(knows));
  app.use(requestId, endHeadBody);
  openapiRoutes(app);
  healthRoutes(app, parts);
  domainCheckRoutes(app, parts);
  const fences = [deletionFence(parts), audit(parts, knows), authorize(knows), dataFence(parts), plainBody];
  app.use("/v1/*", auth(parts), ...fences);
  sourceRoutes(app, parts);
  functionRoutes(app, parts);
  versionRoutes(app, parts);
  eventRoutes(app, parts);
  signedUrlRoutes(app, parts);
  holdRoutes(app, parts);
  secretRoutes(app, parts);
  logRoutes(app, parts);
  traceRoutes(app, parts);
  gcRoutes(app, parts);
  backupRoutes(app, parts);
  egressRoutes(app, parts);
  auditRoutes(app, parts);
  keyRoutes(app, parts);
  tenantRoutes(app, parts);
  quotaRoutes(app, parts);
  domainRoutes(app, parts);
  usageRoutes(app, parts);
  whoamiRoutes(app, parts);
  return app;
}

/** A client's own names are in a message, and may be many and long. */
const MAX_MESSAGE_LENGTH = 1_000;

/** One sentence about everything that is wrong, each with the path of its field. */
function invalid(target: string, found: readonly Issue[]): SandpiperError {
  const issues = plainIssues(found);
  const problems = issues.slice(0, 5).map((issue) => {
    const field = issue.path.map(String).join(".");
    return field === "" ? sentenceOf(issue) : `${field}: ${sentenceOf(issue)}`;
  });
  const more = issues.length > problems.length ? ` (and ${issues.length - problems.length} more)` : "";
  return new SandpiperError(codeFor(target, issues), {
    message: `${problems.join("; ").slice(0, MAX_MESSAGE_LENGTH)}${more}.`,
  });
}

function codeFor(
  target: string,
  issues: readonly { path: PropertyKey[] }[],
): "INVALID_NAME" | "INVALID_ALIAS" | "INVALID_CONFIG" | "INVALID_REQUEST" {
  if (target === "param" && issues.some(({ path }) => path[0] === "name")) return "INVALID_NAME";
  if (target === "param" && issues.some(({ path }) => path[0] === "alias")) return "INVALID_ALIAS";
  if (target === "json" && issues.some(({ path }) => path[0] === "routes")) return "INVALID_ALIAS";
  return target === "json" && issues.every(({ path }) => path[0] === "config") ? "INVALID_CONFIG" : "INVALID_REQUEST";
}

/** Whether a route, rather than a middleware, takes this method and path. */
function takes(app: OpenAPIHono<Environment>, method: string, path: string): boolean {
  const [handlers] = app.router.match(method, path);
  return handlers.some(([[, route]]) => route.method === method && !route.path.includes("*"));
}
