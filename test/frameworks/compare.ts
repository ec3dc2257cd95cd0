/** What an application answers here and under plain Node. */
import type { App, AppRequest } from "./app.ts";

/** Fields of the connection, of the moment, and of the platform's own. */
const NOT_COMPARED = new Set([
  ...["date", "connection", "keep-alive", "transfer-encoding", "content-length"],
  ...["server-timing", "x-request-id", "x-sandpiper-outcome"],
]);

interface Answer {
  status: number;
  headers: string[];
  body: string;
}

/**
 * A sentence for each request that is answered otherwise by the function than by plain Node.
 * @param urls without a slash at their ends
 */
export async function differences(app: App, urls: { ours: string; plain: string }): Promise<string[]> {
  const found: string[] = [];
  // On an origin that it shares with others, a function's cookies are for its own path.
  const isShared = new URL(urls.ours).pathname !== "/";
  for (const request of app.requests) {
    const [ours, plain] = [await answer(urls.ours, request, isShared), await answer(urls.plain, request, isShared)];
    const what = `${request.method ?? "GET"} ${request.path}`;
    for (const part of ["status", "headers", "body"] as const) {
      const [one, other] = [JSON.stringify(ours[part]), JSON.stringify(plain[part])];
      if (one !== other)
        found.push(`${what}: ${part} ${one.slice(0, 400)}\n    under plain Node ${other.slice(0, 400)}`);
    }
  }
  return found;
}

async function answer(url: string, request: AppRequest, isShared: boolean): Promise<Answer> {
  const { path, method = "GET", headers = {}, body } = request;
  const init = { method, headers, redirect: "manual", ...(body !== undefined && { body }) } as const;
  const response = await fetch(url + path, init);
  const { origin, host } = new URL(url);
  // Applications tell of the host that they are called at.
  const neutral = (text: string) => text.replaceAll(origin, "http://host").replaceAll(host, "host");
  const kept = [...response.headers].filter(([name]) => !NOT_COMPARED.has(name));
  return {
    status: response.status,
    headers: kept.map((pair) => neutral(shown(pair, isShared))).sort(),
    body: neutral(await response.text()),
  };
}

/** The attributes of a cookie are in no order. */
function shown([name, value]: [string, string], isShared: boolean): string {
  if (name === "content-type") return `${name}: ${value.replace(/; */g, "; ")}`;
  if (name !== "set-cookie") return `${name}: ${value}`;
  const [pair, ...attributes] = value.split(/; */);
  const kept = attributes.map((text) => text.toLowerCase()).filter((text) => !(isShared && text.startsWith("path=")));
  return `${name}: ${[pair, ...kept.sort()].join("; ")}`;
}
