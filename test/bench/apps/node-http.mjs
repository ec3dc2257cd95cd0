/** `node node-http.mjs PORT`: Node's own server with nothing before or behind it. */
import { createServer } from "node:http";
import { HELLO } from "./payloads.mjs";

createServer((_request, response) => response.end(HELLO)).listen(Number(process.argv[2]), "127.0.0.1");
