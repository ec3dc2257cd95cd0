/** Requests for a host that no DNS knows, to where a gateway or proxy listens. */
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { text } from "node:stream/consumers";

export interface HostAnswer {
  status: number;
  headers: IncomingMessage["headers"];
  body: string;
}

/** Sends one request. @param url says where to connect to */
export async function askHost(
  url: string,
  host: string,
  path: string,
  { method = "GET", headers = {} }: { method?: string; headers?: Record<string, string> } = {},
): Promise<HostAnswer> {
  const { hostname, port } = new URL(url);
  const sent = request({ hostname, port, path, method, headers: { ...headers, host }, agent: false });
  sent.end();
  const [answer] = (await once(sent, "response")) as [IncomingMessage];
  return { status: answer.statusCode ?? 0, headers: answer.headers, body: await text(answer) };
}
