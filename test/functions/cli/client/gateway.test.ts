/**
 * Answers of a gateway as the CLI takes them: by the API's schemas, and what has another shape is
 * refused.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import { Gateway } from "../../../../functions/cli/client/gateway.ts";
import type { CliError } from "../../../../functions/cli/failure.ts";

/** What the server says to each path. */
const answers = new Map<string, unknown>();
let server: Server;
let gateway: Gateway;

before(async () => {
  server = createServer((request, response) => {
    const answer = answers.get(String(request.url));
    response.end(typeof answer === "string" ? answer : JSON.stringify(answer));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const connection = { url: `http://127.0.0.1:${port}`, apiKey: "sp_0123456789abcdef_x", source: "a test" };
  gateway = new Gateway(connection, new AbortController().signal);
});
after(() => server.close());

const OWNER = {
  tenant: "main",
  keyId: "0123456789abcdef",
  publicUrl: "http://127.0.0.1:8787",
  operator: false,
  scopes: ["admin"],
  functions: null,
  expiresAt: null,
};
const refused = (message: RegExp) => (error: CliError) => error.code === "BAD_ANSWER" && message.test(error.message);

describe("an answer", () => {
  it("of a newer gateway may say more", async () => {
    answers.set("/v1/whoami", { ...OWNER, region: "north" });
    assert.deepEqual(await gateway.whoami(), OWNER);
  });

  it("of another shape is refused, and the field named", async () => {
    answers.set("/v1/whoami", { ...OWNER, keyId: 7 });
    await assert.rejects(gateway.whoami(), refused(/\(keyId\)/));
  });

  it("of something else than a gateway is refused", async () => {
    answers.set("/v1/whoami", "<html>");
    await assert.rejects(gateway.whoami(), refused(/no Sandpiper gateway/));
  });
});

async function collect(lines: AsyncIterable<unknown>): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const line of lines) all.push(line);
  return all;
}

describe("a log", () => {
  it("gives lines and ends as they are, and skips empty lines", async () => {
    const line = { invocationId: null, timeMs: 1, level: "info", source: "console", text: "\u001b[2J" };
    answers.set("/v1/functions/hello/logs?limit=3", `\n${JSON.stringify(line)}\n\n`);
    assert.deepEqual(await collect(gateway.logs("hello", { limit: "3" })), [line]);
  });

  it("with a line of another shape is refused there", async () => {
    answers.set("/v1/functions/hello/logs", '{"level":"loud"}\n');
    await assert.rejects(collect(gateway.logs("hello", {})), refused(/not as this CLI knows it/));
  });
});
