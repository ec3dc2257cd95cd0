/** The failures that a gateway's error answers stand for: their kinds, and what to do. */
import { escapeControls } from "../../../infra/std/escape.ts";
import { errorSchema } from "../../api/schemas.ts";
import { CliError, type FailureKind } from "../failure.ts";

/** The failure that a gateway's error answer stands for. */
export function answerError(status: number, text: string): CliError {
  let body: unknown = null;
  try {
    body = JSON.parse(text);
  } catch {
    // Not from a gateway, perhaps from a proxy before it: the status alone speaks.
  }
  const known = errorSchema.safeParse(body);
  if (!known.success) {
    return new CliError(kindOf(status, ""), `the gateway answered with status ${status}`, { code: "BAD_ANSWER" });
  }
  const { code, message, requestId } = known.data.error;
  // A function's own words may be in it.
  return new CliError(kindOf(status, code), escapeControls(message), {
    code,
    ...(requestId !== undefined && { requestId }),
    ...(HINTS[code] !== undefined && { hint: HINTS[code] }),
  });
}

function kindOf(status: number, code: string): FailureKind {
  if (code === "EGRESS_NOT_GRANTED") return "config";
  if (code === "BUILD_FAILED" || code === "CHECK_FAILED") return "build";
  if (status === 401 || status === 403) return "auth";
  if (status === 404) return "notFound";
  const mayWork = ["GC_RUNNING", "BACKUP_RUNNING", "DOMAIN_NOT_PROVEN"].includes(code);
  if (mayWork || status === 408 || status === 429 || status >= 502) return "unavailable";
  return status >= 400 && status < 500 ? "config" : "internal";
}

const HINTS: Readonly<Record<string, string>> = {
  CHECK_FAILED: "what was live before is live still; --no-check deploys without loading the version first",
  CHECK_UNAVAILABLE: "deploy again; --no-check deploys without loading the version first",
  UNAUTHENTICATED: "set SANDPIPER_API_KEY to a key of this gateway, or give --api-key-file",
  NOT_OPERATOR: "use the key of the gateway's SANDPIPER_BOOTSTRAP_KEY_FILE, by SANDPIPER_API_KEY or --api-key-file",
  FORBIDDEN: "`sandpiper whoami` shows what the key may do; `sandpiper key create` makes others, with an admin's key",
  KEY_NOT_FOUND: "`sandpiper key list` shows the ids; another tenant's need --tenant and the operator's key",
  TENANT_NOT_FOUND: "`sandpiper tenant list` shows those that the key may see",
  FUNCTION_NOT_FOUND: "`sandpiper list` shows what is deployed",
  UNKNOWN_HOST:
    "the gateway does not know itself by that name: SANDPIPER_GATEWAY_HOSTS, in its environment, adds names",
  VERSION_NOT_FOUND: "`sandpiper versions <function>` lists those that are kept",
  DOMAIN_NOT_FOUND: "`sandpiper domain list` shows all; another tenant's need --tenant and the operator's key",
  DOMAIN_NOT_PROVEN: "the DNS may take minutes to show a new record, and remembers that there was none: try again",
  ALIAS_NOT_FOUND: "`sandpiper alias list <function>` shows all",
  NO_EARLIER_VERSION: "name one: `sandpiper versions <function>` lists those that are kept",
  PRECONDITION_FAILED: "look what is live now: `sandpiper versions <function>`, and try again",
  SECRET_NOT_FOUND: "`sandpiper secret list` shows all; a function's own needs --function",
  INVOCATION_NOT_FOUND: "the id is the x-request-id of the answer, in full; the key must be the tenant's own",
};
