/** Frameworks of Node's requests and responses. */
import { type App, postJson, ROUTES } from "../app.ts";

const EXPRESS = `
const express = require("express");
const app = express();
app.use(express.json());
app.get("/", (req, res) => res.send("express"));
app.get("/hello", (req, res) => res.json({ hello: req.query.name }));
app.get("/items/:id", (req, res) => res.json({ id: req.params.id }));
app.get("/cookies", (req, res) => res.cookie("seen", "yes").json(req.headers.cookie));
app.get("/moved", (req, res) => res.redirect("/hello"));
app.post("/echo", (req, res) => res.json(req.body));
app.get("/stream", async (req, res) => { for (const n of [1, 2, 3]) { res.write("part " + n + "\\n"); await new Promise((r) => setTimeout(r, 5)); } res.end(); });
app.get("/fails", () => { throw new Error("on purpose"); });
app.use((error, req, res, next) => res.status(error.status ?? 500).send(error.message));
`;
const KOA = `
const Koa = require("koa");
const app = new Koa({ proxy: true });
app.silent = true;
app.use(async (ctx) => {
  const { path, method } = ctx;
  if (path === "/") ctx.body = "koa";
  else if (path === "/hello") ctx.body = { hello: ctx.query.name };
  else if (path.startsWith("/items/")) ctx.body = { id: path.slice(7) };
  else if (path === "/cookies") { ctx.cookies.set("seen", "yes"); ctx.body = { a: ctx.cookies.get("a") }; }
  else if (path === "/moved") ctx.redirect("/hello");
  else if (path === "/echo" && method === "POST") { let text = ""; for await (const piece of ctx.req) text += piece; ctx.type = "json"; ctx.body = text; }
  else if (path === "/stream") ctx.body = require("node:stream").Readable.from(["part 1\\n", "part 2\\n"]);
  else if (path === "/fails") ctx.throw(503, "on purpose", { expose: true });
});
`;
const FASTIFY = `
const fastify = require("fastify")();
fastify.get("/", async () => "fastify");
fastify.get("/hello", async (request) => ({ hello: request.query.name }));
fastify.get("/items/:id", async (request) => ({ id: request.params.id }));
fastify.get("/cookies", async (request, reply) => reply.header("set-cookie", ["a=1", "b=2"]).send(request.headers.cookie));
fastify.get("/moved", (request, reply) => reply.redirect("/hello"));
fastify.post("/echo", async (request) => request.body);
fastify.get("/stream", (request, reply) => reply.send(require("node:stream").Readable.from(["part 1\\n", "part 2\\n"])));
fastify.get("/fails", async () => { throw Object.assign(new Error("on purpose"), { statusCode: 503 }); });
`;
/** Decorators are called as functions, as plain Node has none. */
const NEST = `
require("reflect-metadata");
const { Body, Controller, Get, HttpException, Module, Param, Post, Query, Redirect } = require("@nestjs/common");
const { NestFactory } = require("@nestjs/core");
class Items {
  root() { return "nest"; }
  hello(name) { return { hello: name }; }
  item(id) { return { id }; }
  moved() {}
  echo(body) { return body; }
  fails() { throw new HttpException("on purpose", 503); }
}
const route = (method, decorators, parameters = []) => {
  const descriptor = Object.getOwnPropertyDescriptor(Items.prototype, method);
  for (const decorate of decorators) decorate(Items.prototype, method, descriptor);
  parameters.forEach((decorate, index) => decorate(Items.prototype, method, index));
};
Controller()(Items);
route("root", [Get("/")]);
route("hello", [Get("hello")], [Query("name")]);
route("item", [Get("items/:id")], [Param("id")]);
route("moved", [Redirect("/hello"), Get("moved")]);
route("echo", [Post("echo")], [Body()]);
route("fails", [Get("fails")]);
class App {}
Module({ controllers: [Items] })(App);
async function bootstrap() {
  const app = await NestFactory.create(App, { logger: false });
  await app.listen(process.env.PORT ?? 3000);
}
bootstrap();
`;

export const SERVERS: readonly App[] = [
  {
    name: "express",
    packages: ["express@5.3.0"],
    files: { "index.cjs": `${EXPRESS} app.listen(process.env.PORT);` },
    entry: "index.cjs",
    runs: "server",
    requests: ROUTES,
  },
  {
    name: "express-exported",
    packages: ["express@5.3.0"],
    files: { "index.cjs": `${EXPRESS} module.exports = app;` },
    entry: "index.cjs",
    runs: "listener",
    requests: ROUTES,
  },
  {
    name: "koa",
    packages: ["koa@3.3.0"],
    files: { "index.cjs": `${KOA} app.listen(process.env.PORT);` },
    entry: "index.cjs",
    runs: "server",
    requests: ROUTES,
  },
  {
    name: "koa-exported",
    packages: ["koa@3.3.0"],
    files: { "index.cjs": `${KOA} module.exports = app.callback();` },
    entry: "index.cjs",
    runs: "listener",
    requests: ROUTES,
  },
  {
    name: "fastify",
    packages: ["fastify@5.12.8"],
    files: { "index.cjs": `${FASTIFY} fastify.listen({ port: Number(process.env.PORT) });` },
    entry: "index.cjs",
    runs: "server",
    requests: ROUTES,
  },
  {
    name: "nest",
    packages: [
      ...["@nestjs/core@12.5.1", "@nestjs/common@12.5.1", "@nestjs/platform-express@12.5.1"],
      ...["reflect-metadata@0.2.2", "rxjs@7.8.2"],
    ],
    files: { "index.cjs": NEST },
    entry: "index.cjs",
    config: { memoryMiB: 256 },
    runs: "server",
    requests: ROUTES,
  },
  {
    name: "node-http",
    packages: [],
    files: {
      "index.mjs": `
import { createServer } from "node:http";
createServer(async (req, res) => {
  let bytes = 0;
  for await (const piece of req) bytes += piece.length;
  if (req.url === "/204") return res.writeHead(204).end();
  if (req.url === "/304") return res.writeHead(304, { etag: "x" }).end();
  if (req.url === "/early") res.writeEarlyHints({ link: "</a.css>; rel=preload" });
  res.writeHead(req.url === "/teapot" ? 418 : 200, { "x-a": ["b", "c"], "set-cookie": ["a=1", "b=2"] });
  res.end(JSON.stringify({ method: req.method, url: req.url, type: req.headers["content-type"], bytes }));
}).listen(process.env.PORT || 3000);`,
    },
    entry: "index.mjs",
    runs: "server",
    requests: [
      ...["/", "/a%20b/../c?d=e&d=f", "/204", "/304", "/early", "/teapot"].map((path) => ({ path })),
      { path: "/", method: "HEAD" },
      { path: "/", method: "DELETE" },
      { path: "/form", method: "POST", headers: { "content-type": "application/x-www-form-urlencoded" }, body: "a=b" },
      postJson("/large", "x".repeat(200_000)),
    ],
  },
];
