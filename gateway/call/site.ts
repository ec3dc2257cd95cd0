/**
 * Where a function is, as it and its client see it: on a host of its own, at a domain of its
 * tenant, or below /fn/.
 */
import type { IncomingMessage } from "node:http";
import type { Clients } from "../http/clients.ts";
import type { OwnHost } from "../http/hosts.ts";
import type { Origins } from "../http/origins.ts";
import type { CallerFields, Forwarded } from "./forwarded.ts";
import type { SharedSite } from "./shared-origin.ts";
import type { FunctionTarget } from "./target.ts";

/** Where browsers find a function's answers. */
export type Site = OwnHost | SharedSite;

/** Facts for one call. */
export interface Whereabouts {
  site: Site;
  /** The URL of the request as the function sees it. */
  url: string;
  forwarded: Forwarded;
}

/**
 * Where the function of a request is.
 * @param seesPath whether the function finds itself below /fn/ when it is called there, and not at
 * the root
 * @param caller who the call was let in for
 */
export function whereaboutsOf(
  { origins, clients }: { origins: Origins; clients: Clients },
  request: IncomingMessage,
  { host, path, whole, sharedPath }: FunctionTarget,
  seesPath: boolean,
  caller?: CallerFields,
): Whereabouts {
  const origin = origins.of(request, host);
  const believed = { address: clients.addressOf(request), byProxy: clients.isByProxy(request), origin };
  const client = caller === undefined ? believed : { ...believed, caller };
  const atRoot = origin.url + path;
  if (host.kind !== "gateway") return { site: host, url: atRoot, forwarded: { ...client, prefix: null } };
  const prefix = `${origins.basePath}${sharedPath}`;
  const site: SharedSite = { kind: "shared", origin: origin.url, path: prefix, seesPath };
  if (!seesPath) return { site, url: atRoot, forwarded: { ...client, prefix } };
  return { site, url: origin.url + origins.basePath + whole, forwarded: { ...client, prefix: null } };
}
