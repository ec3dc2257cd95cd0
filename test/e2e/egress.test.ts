/**
 * The examples of docs/EGRESS.md whose servers are there for other tests as well, over declared
 * names; `npm run test:egress` runs all of them.
 */
import assert from "node:assert/strict";
import { resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { ClientRun } from "../clients/run.ts";
import { OWN } from "../clients/servers/own.ts";

let run: ClientRun;
before(async () => {
  run = await ClientRun.start(OWN, resolve(import.meta.dirname, "../../node_modules"));
});
after(() => run[Symbol.asyncDispose]());

describe("an example of the documents", () => {
  for (const example of OWN) {
    const reason = example.missing?.() ?? null;
    it(`for ${example.name} runs as it stands there`, { skip: reason ?? false }, () => run.check(example));
  }
});

describe("a connection", () => {
  it("is in the trace of the call that opened it, with its bytes", async () => {
    // A function of its own: what an earlier call left open is in no later call's trace.
    const code = `import { connect } from "node:net";
import { once } from "node:events";
export default async () => {
  const socket = connect(6379, "cache.example.com");
  socket.write("PING\\r\\n");
  const [answer] = await once(socket, "data");
  return String(answer);
};`;
    await run.platform.deployFiles("pings", code, { egress: ["cache.example.com:6379"] });
    const { code: exit, stdout, stderr } = await run.platform.cli(["invoke", "pings", "--trace"]);
    assert.equal(exit, 0, stderr);
    assert.match(stdout, /PONG/);
    assert.match(stderr, /host=cache\.example\.com port=6379 verdict=kept up=\d+ down=\d+ address=127\./);
  });

  it("that is not declared is named in the log, with what to declare", async () => {
    const code = `export default async () => {
  try { await fetch("https://undeclared.example.com/"); } catch (error) { return error.cause.code; }
};`;
    await run.platform.deployFiles("curious", code, { egress: ["api.example.com"] });
    const { stdout, stderr } = await run.platform.cli(["invoke", "curious", "--logs", "--trace"]);
    assert.equal(stdout, "ENOTFOUND");
    assert.match(stderr, /undeclared\.example\.com was not reached.*add "undeclared\.example\.com" to "egress"/);
    assert.match(stderr, /verdict=undeclared_name/);
  });
});
