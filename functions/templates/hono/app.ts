import { Hono } from "hono";

// `Env` is in sandpiper-env.d.ts, which `sandpiper types` writes from "env" in sandpiper.jsonc.
export const app = new Hono<{ Bindings: Env }>();

app.get("/", (c) => c.json({ message: `${c.env.GREETING}, ${c.req.query("name") ?? "world"}!` }));
app.get("/hello/:name", (c) => c.json({ message: `${c.env.GREETING}, ${c.req.param("name")}!` }));
