/**
 * `node hono.mjs PORT`: the floor of HTTP, a bare hono server that answers what the functions
 * answer.
 */
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { BINARY, HELLO, ITEMS } from "./payloads.mjs";

const app = new Hono()
  .get("/", (context) => context.text(HELLO))
  .get("/json", (context) => context.json(ITEMS))
  .get("/binary", (context) => context.body(BINARY));
serve({ fetch: app.fetch, hostname: "127.0.0.1", port: Number(process.argv[2]) });
