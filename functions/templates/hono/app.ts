import { Hono } from "hono";

/** The variables of "env" in sandpiper.jsonc. */
interface Env {
  Bindings: { GREETING: string };
}

// The function sees the whole URL, so its routes stand below /fn/<tenant>/<function>.
export const app = new Hono<Env>({ strict: false }).basePath("/fn/:tenant/:function");

app.get("/", (c) => c.json({ message: `${c.env.GREETING}, world!` }));
app.get("/hello/:name", (c) => c.json({ message: `${c.env.GREETING}, ${c.req.param("name")}!` }));
