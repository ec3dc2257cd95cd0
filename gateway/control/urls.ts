/** The URLs of a function, and of its previews, as whoever asks reaches them. */
import type { Context } from "hono";
import type { FunctionInfo } from "../../functions/api/schemas.ts";
import { previewName } from "../../functions/model/alias.ts";
import type { FunctionConfig } from "../../functions/model/manifest.ts";
import { FUNCTION_PREFIX } from "../http/hosts.ts";
import type { ControlParts, Environment } from "./context.ts";

/**
 * Where a function can be called: on the host of its own, if one leads to it, unless the function
 * is written for the prefix of the other form.
 */
export function urlsOf(
  { origins, hosts }: ControlParts,
  c: Context<Environment>,
  functionName: string,
  { keepPrefix = false }: Pick<FunctionConfig, "keepPrefix">,
): Pick<FunctionInfo, "url" | "sharedUrl"> {
  const { tenant } = c.var.principal;
  const base = origins.baseUrl(c.env.incoming);
  const sharedUrl = `${base}${FUNCTION_PREFIX}${tenant}/${functionName}`;
  const ownUrl = keepPrefix ? null : hosts.urlOf(base, { tenant, functionName });
  return { url: ownUrl ?? sharedUrl, sharedUrl };
}

/** Where an alias or a version of a function is called. */
export function previewUrl(
  parts: ControlParts,
  c: Context<Environment>,
  functionName: string,
  name: string,
  config: Pick<FunctionConfig, "keepPrefix"> = {},
): string {
  return urlsOf(parts, c, previewName(name, functionName), config).url;
}
