const { IncomingMessage, ServerResponse } = require("node:http");

function application() {
  const request = Object.create(IncomingMessage.prototype);
  const response = Object.create(ServerResponse.prototype);
  response.send = function (text) {
    this.setHeader("content-length", Buffer.byteLength(text));
    return this.end(text);
  };
  const steps = [];
  function app(req, res, next) {
    Object.setPrototypeOf(req, request);
    Object.setPrototypeOf(res, response);
    let at = 0;
    const run = (error) => {
      if (error) return res.end(String(error));
      const step = steps[at++];
      if (step) step(req, res, run);
      else if (next) next();
      else { res.statusCode = 404; res.end("nothing here"); }
    };
    run();
  }
  app.use = (step) => { steps.push(step); return app; };
  app.get = (path, step) => app.use((req, res, next) => (req.method === "GET" && req.url.split("?")[0] === path ? step(req, res) : next()));
  return app;
}

const app = application();
app.use((req, res, next) => { res.setHeader("x-powered-by", "middleware"); next(); });
app.get("/hello", (req, res) => res.send("hello"));
module.exports = app;
