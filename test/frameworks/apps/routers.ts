/** Routers that are exported as they are: each takes a Request. */
import { type App, postJson, ROUTES } from "../app.ts";

const STREAM = `new ReadableStream({ async start(c) { for (const n of [1, 2, 3]) { c.enqueue(new TextEncoder().encode("part " + n + "\\n")); await new Promise((r) => setTimeout(r, 5)); } c.close(); } })`;

const HONO = `
import { Hono } from "hono";
import { getCookie, setCookie } from "hono/cookie";
const app = new Hono();
app.get("/", (c) => c.text("hono"));
app.get("/hello", (c) => c.json({ hello: c.req.query("name") }));
app.get("/items/:id", (c) => c.json({ id: c.req.param("id") }));
app.get("/cookies", (c) => { setCookie(c, "seen", "yes", { path: "/" }); return c.json(getCookie(c)); });
app.get("/moved", (c) => c.redirect("/hello", 302));
app.post("/echo", async (c) => c.json(await c.req.json()));
app.get("/stream", () => new Response(${STREAM}));
app.get("/fails", () => { throw new Error("on purpose"); });
app.onError((error, c) => c.text(error.message, 500));
`;
const H3 = `
import { H3, HTTPError, getQuery, redirect, setCookie, readBody } from "h3";
const app = new H3();
app.get("/", () => "h3");
app.get("/hello", (event) => ({ hello: getQuery(event).name }));
app.get("/items/:id", (event) => ({ id: event.context.params.id }));
app.get("/cookies", (event) => { setCookie(event, "seen", "yes"); return event.req.headers.get("cookie"); });
app.get("/moved", () => redirect("/hello"));
app.post("/echo", (event) => readBody(event));
app.get("/stream", () => ${STREAM});
app.get("/fails", () => { throw new HTTPError({ status: 503, message: "on purpose" }); });
`;
const H3_SERVED = `import { serve } from "h3"; ${H3} serve(app, { port: process.env.PORT, silent: true });`;
const QUERIES = ['{ hello(name: "Ada") }', "{ nothing }", "mutation { add(a: 1, b: 2) }"].map((query) =>
  postJson("/graphql", { query }),
);

export const ROUTERS: readonly App[] = [
  {
    name: "hono",
    packages: ["hono@4.13.19"],
    files: { "index.mjs": `${HONO} export default app;` },
    entry: "index.mjs",
    runs: "fetch",
    requests: ROUTES,
  },
  {
    name: "hono-served",
    packages: ["hono@4.13.19", "@hono/node-server@2.1.9"],
    files: {
      "index.mjs": `import { serve } from "@hono/node-server"; ${HONO} serve({ fetch: app.fetch, port: Number(process.env.PORT) });`,
    },
    entry: "index.mjs",
    runs: "server",
    requests: ROUTES,
  },
  {
    name: "h3",
    packages: ["h3@2.0.8"],
    files: { "index.mjs": `${H3} export default app;`, "plain.mjs": H3_SERVED },
    entry: "index.mjs",
    runs: "fetch",
    plain: "plain.mjs",
    requests: ROUTES,
  },
  {
    name: "h3-served",
    packages: ["h3@2.0.8"],
    files: { "index.mjs": H3_SERVED },
    entry: "index.mjs",
    runs: "server",
    requests: ROUTES,
  },
  {
    name: "elysia",
    packages: ["elysia@1.4.30"],
    files: {
      "index.mjs": `
import { Elysia } from "elysia";
export default new Elysia()
  .get("/", () => "elysia")
  .get("/hello", ({ query }) => ({ hello: query.name }))
  .get("/items/:id", ({ params }) => ({ id: params.id }))
  .get("/cookies", ({ cookie }) => { cookie.seen.value = "yes"; return { a: cookie.a.value }; })
  .get("/moved", ({ redirect }) => redirect("/hello"))
  .post("/echo", ({ body }) => body)
  .get("/stream", () => new Response(${STREAM}))
  .get("/fails", () => { throw new Error("on purpose"); });`,
    },
    entry: "index.mjs",
    runs: "fetch",
    requests: ROUTES,
  },
  {
    name: "itty-router",
    packages: ["itty-router@5.0.24"],
    files: {
      "index.mjs": `
import { AutoRouter, error, withCookies } from "itty-router";
export default AutoRouter()
  .get("/", () => "itty-router")
  .get("/hello", ({ query }) => ({ hello: query.name }))
  .get("/items/:id", ({ params }) => ({ id: params.id }))
  .get("/cookies", withCookies, ({ cookies }) => cookies)
  .get("/moved", () => new Response(null, { status: 302, headers: { location: "/hello" } }))
  .post("/echo", (request) => request.json())
  .get("/stream", () => new Response(${STREAM}))
  .get("/fails", () => error(503, "on purpose"));`,
    },
    entry: "index.mjs",
    runs: "fetch",
    requests: ROUTES,
  },
  {
    name: "trpc",
    packages: ["@trpc/server@11.25.2", "zod@4.6.7"],
    files: {
      "index.mjs": `
import { initTRPC } from "@trpc/server";
import { fetchRequestHandler } from "@trpc/server/adapters/fetch";
import { z } from "zod";
const t = initTRPC.create();
const router = t.router({
  hello: t.procedure.input(z.object({ name: z.string() })).query(({ input }) => "hello " + input.name),
  add: t.procedure.input(z.array(z.number())).mutation(({ input }) => input.reduce((a, b) => a + b, 0)),
});
export default { fetch: (req) => fetchRequestHandler({ endpoint: "/trpc", req, router, createContext: () => ({}), onError() {} }) };`,
    },
    entry: "index.mjs",
    runs: "fetch",
    requests: [
      { path: `/trpc/hello?input=${encodeURIComponent('{"name":"Ada"}')}` },
      { path: "/trpc/hello" },
      { path: "/trpc/nowhere" },
      postJson("/trpc/add", [1, 2, 3]),
    ],
  },
  {
    name: "graphql-yoga",
    packages: ["graphql-yoga@5.24.1", "graphql@16.12.0"],
    files: {
      "index.mjs": `
import { createSchema, createYoga } from "graphql-yoga";
const typeDefs = "type Query { hello(name: String!): String! } type Mutation { add(a: Int!, b: Int!): Int! }";
const resolvers = { Query: { hello: (_, { name }) => "hello " + name }, Mutation: { add: (_, { a, b }) => a + b } };
const yoga = createYoga({ schema: createSchema({ typeDefs, resolvers }), logging: false });
export default { fetch: (request) => yoga.fetch(request) };`,
    },
    entry: "index.mjs",
    runs: "fetch",
    requests: [...QUERIES, { path: "/graphql" }, { path: "/nowhere" }],
  },
  {
    name: "apollo",
    packages: ["@apollo/server@5.5.1", "graphql@16.12.0"],
    files: {
      "index.mjs": `
import { ApolloServer } from "@apollo/server";
import { startStandaloneServer } from "@apollo/server/standalone";
const typeDefs = "type Query { hello(name: String!): String! } type Mutation { add(a: Int!, b: Int!): Int! }";
const resolvers = { Query: { hello: (_, { name }) => "hello " + name }, Mutation: { add: (_, { a, b }) => a + b } };
await startStandaloneServer(new ApolloServer({ typeDefs, resolvers }), { listen: { port: Number(process.env.PORT) } });`,
    },
    entry: "index.mjs",
    runs: "server",
    requests: [...QUERIES, { path: "/graphql?query={__typename}", headers: { "apollo-require-preflight": "1" } }],
  },
];
