/** A collector of spans that takes what it is sent and drops it. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { serveBlocks } from "./child.ts";

const server = createServer((request, response) => {
  request.resume();
  request.once("end", () => response.setHeader("content-type", "application/json").end("{}"));
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = server.address() as AddressInfo;
serveBlocks({ facts: { url: `http://127.0.0.1:${port}` }, close: async () => void server.close() });
