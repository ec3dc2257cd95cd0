/**
 * `node under-node.mjs fetch|listener FILE`: serves what a module exports on the port of the
 * environment, as its users would without a platform. Requests and responses are Node's own, as
 * servers for them bring objects of theirs, which differ in details.
 */
import { createServer } from "node:http";
import { Readable } from "node:stream";
import { pathToFileURL } from "node:url";

const [, , runs, file] = process.argv;
const { PORT } = process.env;
const { default: app } = await import(pathToFileURL(file).href);

async function serveFetch(req, res) {
  const { method, headers, rawHeaders } = req;
  const pairs = rawHeaders.flatMap((name, at) => (at % 2 === 0 ? [[name, rawHeaders[at + 1]]] : []));
  const hasBody = method !== "GET" && method !== "HEAD";
  const init = hasBody ? { body: Readable.toWeb(req), duplex: "half" } : {};
  const response = await app.fetch(
    new Request(`http://${headers.host}${req.url}`, { method, headers: pairs, ...init }),
  );
  res.statusCode = response.status;
  for (const [name, value] of response.headers) res.appendHeader(name, value);
  Readable.from(response.body ?? []).pipe(res);
}

createServer(runs === "fetch" ? serveFetch : app).listen(Number(PORT), "127.0.0.1");
