/** The answer to a request that is refused. */
import { ServerResponse, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { RequestRefusal } from "./request-check.ts";

/** Answers with the refusal as JSON; a connection that cannot be answered any more is closed. */
export function refuse(to: ServerResponse | Socket, { verdict, status, why }: RequestRefusal): void {
  const body = JSON.stringify({ error: { code: verdict, message: `Refused by Sandpiper: ${why}` } });
  const fields = { "content-type": "application/json", "content-length": String(Buffer.byteLength(body)) };
  if (to instanceof ServerResponse) {
    to.writeHead(status, fields).end(body);
    return;
  }
  const lines = Object.entries({ ...fields, connection: "close" }).map(([name, value]) => `${name}: ${value}\r\n`);
  to.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join("")}\r\n${body}`);
}
