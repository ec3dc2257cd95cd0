/** The floor of HTTP: a bare hono server that answers what the function answers. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { serveBlocks } from "./child.ts";

const app = new Hono().get("/", (context) => context.text("Hello, world!\n"));
// As the gateway does: a connection that rests between two blocks is not closed in the middle of the next.
const serverOptions = { keepAliveTimeout: 65_000 };
const server = serve({ fetch: app.fetch, hostname: "127.0.0.1", port: 0, serverOptions });
await once(server, "listening");
const { port } = server.address() as AddressInfo;
serveBlocks({ facts: { url: `http://127.0.0.1:${port}/` }, close: async () => void server.close() });
