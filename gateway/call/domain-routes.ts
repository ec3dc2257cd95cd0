/** The functions of a tenant that answer at paths of its domains, by the routes of what is live. */
import { MAX_ROUTE_PATH_LENGTH, readRoute } from "../../functions/model/routes.ts";
import type { FunctionTarget } from "./target.ts";

interface Paths {
  /** Functions by the one path that they are for. */
  exact: Map<string, string>;
  /** Functions by the path that they are for with all below. */
  prefixes: Map<string, string>;
}

/** By domain. */
export type DomainRoutes = ReadonlyMap<string, Paths>;

/**
 * Routes in the form in which they are looked up. Of two functions with the same route the first by
 * name has it.
 * @param routes those of each function
 */
export function routesByDomain(routes: Readonly<Record<string, readonly string[]>>): DomainRoutes {
  const found = new Map<string, Paths>();
  for (const functionName of Object.keys(routes).sort()) {
    for (const text of routes[functionName] ?? []) {
      const route = readRoute(text);
      if ("problem" in route) continue;
      const paths = found.get(route.domain) ?? { exact: new Map(), prefixes: new Map() };
      found.set(route.domain, paths);
      const named = route.isPrefix ? paths.prefixes : paths.exact;
      if (!named.has(route.path)) named.set(route.path, functionName);
    }
  }
  return found;
}

/**
 * A target with the function of the longest route that fits, or as it is. Paths are compared byte
 * by byte, as they were sent.
 */
export function routedTarget(routes: DomainRoutes, target: FunctionTarget): FunctionTarget {
  const paths = target.host.kind === "domain" ? routes.get(target.host.name) : undefined;
  const functionName = paths && functionAt(paths, target.path);
  return functionName === undefined ? target : { ...target, functionName, isPreview: false };
}

function functionAt({ exact, prefixes }: Paths, path: string): string | undefined {
  const query = path.indexOf("?");
  const whole = query === -1 ? path : path.slice(0, query);
  const named = exact.get(whole);
  if (named !== undefined) return named;
  // No route is longer, and a path may be very long.
  let end = whole.length <= MAX_ROUTE_PATH_LENGTH ? whole.length : whole.lastIndexOf("/", MAX_ROUTE_PATH_LENGTH);
  for (; end > 0; end = whole.lastIndexOf("/", end - 1)) {
    const found = prefixes.get(whole.slice(0, end));
    if (found !== undefined) return found;
  }
  return undefined;
}
