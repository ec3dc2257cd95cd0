const app = {
  isReady: false,
  async ready() { this.isReady = true; },
  routing(req, res) { res.end("ready " + app.isReady); },
  listen() { throw new Error("not asked for"); },
};
export default app;
