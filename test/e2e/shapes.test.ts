/** Functions as people write them for other platforms: deployed by the CLI, called over HTTP. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Platform } from "../helpers/platform.ts";

let platform: Platform;
before(async () => {
  platform = await Platform.start();
});
after(() => platform.stop());

interface Shape {
  name: string;
  shows: string;
  entry: string;
  code: string;
  config?: Record<string, unknown>;
  answer: string;
}

/** Each is asked by `POST /a?b=c` with the text "q". */
const SHAPES: Shape[] = [
  {
    name: "common-node",
    shows: "module.exports = (req, res), with Vercel's helpers",
    entry: "index.cjs",
    code: "module.exports = (req, res) => res.status(201).send(req.method + ' ' + req.url + ' ' + req.query.b + ' ' + req.body);",
    answer: "201 POST /a?b=c c q",
  },
  {
    name: "connect-app",
    shows: "an application of middleware, as Express's are",
    entry: "index.ts",
    code: `
      import { IncomingMessage, ServerResponse } from "node:http";
      const [request, response] = [Object.create(IncomingMessage.prototype), Object.create(ServerResponse.prototype)];
      response.send = function (text) { this.setHeader("content-length", Buffer.byteLength(text)); this.end(text); };
      const steps = [
        (req, res, next) => req.setEncoding("utf8").on("data", (text) => { req.text = (req.text ?? "") + text }).on("end", next),
        (req, res) => res.send("app " + req.text),
      ];
      function app(req, res, next) {
        Object.setPrototypeOf(req, request);
        Object.setPrototypeOf(res, response);
        let at = 0;
        const run = () => steps[at++](req, res, run);
        run();
      }
      export default app;`,
    answer: "200 app q",
  },
  {
    name: "old-lambda",
    shows: "a Lambda handler that answers by its context",
    entry: "index.cjs",
    code: "exports.handler = function (event, context) { setTimeout(function () { context.succeed({ statusCode: 202, body: event.rawPath }); }, 1); };",
    answer: "202 /a",
  },
  {
    name: "default-lambda",
    shows: "a default export that calls back",
    entry: "index.ts",
    code: "export default (event, context, callback) => callback(null, { statusCode: 202, body: event.rawQueryString });",
    answer: "202 b=c",
  },
  {
    name: "stream-lambda",
    shows: "a Lambda handler that streams",
    entry: "index.ts",
    code: `export const handler = awslambda.streamifyResponse(async (event, stream) => {
      stream = awslambda.HttpResponseStream.from(stream, { statusCode: 203, headers: { "content-type": "text/plain" } });
      stream.write("one ");
      await new Promise(setImmediate);
      stream.end("two");
    });`,
    answer: "203 one two",
  },
  {
    name: "listener",
    shows: "a service worker's listener",
    entry: "index.js",
    code: `addEventListener("fetch", (event) => event.respondWith(event.request.text().then((text) => new Response("heard " + text))));`,
    answer: "200 heard q",
  },
  {
    name: "deno",
    shows: "Deno.serve",
    entry: "index.ts",
    code: `Deno.serve({ port: 8000 }, async (request: Request) => new Response("served " + (await request.text())));`,
    answer: "200 served q",
  },
  {
    name: "configured",
    shows: "an export that the configuration names",
    entry: "index.cjs",
    code: "exports.one = () => 'one'; exports.two = (a, b) => b.end('two ' + a.url);",
    config: { handler: "two", kind: "node" },
    answer: "200 two /a?b=c",
  },
];

describe("a function", () => {
  for (const { name, shows, entry, code, config, answer } of SHAPES) {
    it(`may be ${shows}`, async () => {
      const url = await platform.deployFiles(name, { [entry]: code }, { entry, ...config });
      const response = await fetch(`${url}/a?b=c`, { method: "POST", body: "q" });
      assert.equal(`${response.status} ${await response.text()}`, answer);
    });
  }

  it("of (req, res) is heard while it writes", async () => {
    const url = await platform.deployFiles("endless", "export default (req, res) => { res.write('first'); };");
    const response = await fetch(url);
    assert.ok(response.body !== null);
    const reader = response.body.getReader();
    const { value } = await reader.read();
    assert.equal(Buffer.from(value ?? []).toString(), "first");
    await reader.cancel();
  });

  it("whose configuration names no export tells which there are", async () => {
    const files = { "index.cjs": "exports.one = () => 1; exports.two = () => 2;" };
    await assert.rejects(
      platform.deployFiles("misnamed", files, { entry: "index.cjs", handler: "three" }),
      /index\.cjs failed while it was loaded:[\s\S]*"three", .* It exports default \(object with one \(function\), two \(function\)\)/,
    );
    await assert.rejects(
      platform.deployFiles("refused", "export const a = () => 1", { handler: "index.a" }),
      /"handler" is not right: the name of an export alone/,
    );
  });
});
