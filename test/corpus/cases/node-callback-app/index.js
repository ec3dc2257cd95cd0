class App {
  middleware = [];
  use(step) { this.middleware.push(step); return this; }
  listen() { throw new Error("not asked for"); }
  callback() {
    return async (req, res) => {
      const ctx = { req, res, path: req.url, body: undefined };
      const run = (at) => Promise.resolve(this.middleware[at]?.(ctx, () => run(at + 1)));
      await run(0);
      res.setHeader("content-type", "text/plain");
      res.end(ctx.body);
    };
  }
}
const app = new App();
app.use(async (ctx, next) => { await next(); ctx.body += "!"; });
app.use((ctx) => { ctx.body = "at " + ctx.path; });
export default app;
