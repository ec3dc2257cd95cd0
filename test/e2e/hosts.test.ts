/** Functions by both of their URLs, as curl and the command line call them. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { Platform } from "../helpers/platform.ts";

let platform: Platform;
before(async () => {
  platform = await Platform.start();
});
after(() => platform.stop());

const curl = async (...args: string[]) => (await promisify(execFile)("curl", ["-sS", ...args])).stdout;

/** Each says the path that it sees, and what it is told of its client. */
const SEEN = "[path, h['x-forwarded-for'], h['x-forwarded-proto'], h['x-forwarded-port'], h['x-forwarded-prefix']]";
const KINDS: Record<string, string> = {
  fetch: `export default { fetch({ url, headers }) {
    const [path, h] = [new URL(url).pathname, Object.fromEntries(headers)];
    return Response.json(${SEEN});
  } }`,
  lambda: `export const handler = async ({ rawPath, headers: h, requestContext }) => {
    const path = [...new Set([rawPath, requestContext.http.path])].join();
    if (requestContext.http.sourceIp !== "127.0.0.1" || requestContext.domainName !== h.host) return "wrong";
    return ${SEEN};
  }`,
  node: `module.exports = (req, res) => { const [path, h] = [req.url, req.headers]; res.json(${SEEN}); };`,
};

describe("a function", () => {
  for (const [kind, code] of Object.entries(KINDS)) {
    it(`of the kind ${kind} is at the root of both of its URLs`, async () => {
      const files = kind === "node" ? { "index.cjs": code } : { "index.ts": code };
      const url = await platform.deployFiles(`at-${kind}`, files, { entry: Object.keys(files)[0] });
      const { port } = new URL(platform.url);
      assert.equal(url, `http://at-${kind}.main.localhost:${port}`);
      const client = ["127.0.0.1", "http", port];
      const lie = ["-H", "x-forwarded-for: 203.0.113.5", "-H", "x-forwarded-prefix: /x"];
      assert.deepEqual(JSON.parse(await curl(...lie, `${url}/v1/functions`)), ["/v1/functions", ...client, null]);
      const info = JSON.parse((await platform.cli(["info", `at-${kind}`, "--json"])).stdout);
      assert.equal(info.sharedUrl, `${platform.url}/fn/main/at-${kind}`);
      assert.deepEqual(JSON.parse(await curl(`${info.sharedUrl}/a/b`)), ["/a/b", ...client, `/fn/main/at-${kind}`]);
      const invoked = await platform.cli(["invoke", `at-${kind}`, "--path", "/c"]);
      assert.deepEqual(JSON.parse(invoked.stdout), ["/c", ...client, null], invoked.stderr);
    });
  }

  it("that was written for the prefix keeps it, and its URL is the one that has it", async () => {
    const code = "export default ({ url }) => new URL(url).pathname";
    const url = await platform.deployFiles("prefixed", code, { keepPrefix: true });
    assert.equal(url, `${platform.url}/fn/main/prefixed`);
    assert.equal(await curl(`${url}/a`), "/fn/main/prefixed/a");
    const { stdout } = await platform.cli(["invoke", "prefixed", "--path", "/b"]);
    assert.equal(stdout, "/fn/main/prefixed/b");
  });
});
