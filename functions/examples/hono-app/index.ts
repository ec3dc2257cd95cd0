/** An app with routes: a handler is anything with a `fetch` method, and a hono app has one. */
import { Hono } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import { HTTPException } from "hono/http-exception";
import { page } from "./page.ts";

const BIRDS: Readonly<Record<string, string>> = {
  sandpiper: "runs along the water's edge",
  turnstone: "turns stones over",
  dunlin: "flies in clouds of thousands",
};

const app = new Hono();

// Called as /fn/<tenant>/<function>/ on the host of all functions, the app is not at the root, and links must say so.
app.get("/", (c) => c.html(page(Object.keys(BIRDS), c.req.header("x-forwarded-prefix") ?? "")));

app.get("/birds/:name", (c) => {
  const name = c.req.param("name");
  if (!Object.hasOwn(BIRDS, name)) throw new HTTPException(404, { message: `no bird is called ${name}` });
  return c.json({ name, habit: BIRDS[name] });
});

app.post("/echo", async (c) => c.body(await c.req.arrayBuffer(), 200, { "content-type": "application/octet-stream" }));

app.get("/visit", (c) => {
  const visits = Number(getCookie(c, "visits") ?? 0) + 1;
  setCookie(c, "visits", String(visits));
  setCookie(c, "last", "visit");
  return c.text(`visit ${visits}`);
});

app.delete("/visit", (c) => {
  deleteCookie(c, "visits");
  return c.body(null, 204);
});

app.onError((error, c) => {
  if (error instanceof HTTPException) return c.json({ error: error.message }, error.status);
  throw error;
});

export default app;
