import { Hono } from "hono";

/** The variables of "env" in sandpiper.jsonc. */
interface Env {
  Bindings: { GREETING: string };
}

export const app = new Hono<Env>();

app.get("/", (c) => c.json({ message: `${c.env.GREETING}, world!` }));
app.get("/hello/:name", (c) => c.json({ message: `${c.env.GREETING}, ${c.req.param("name")}!` }));
