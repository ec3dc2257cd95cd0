import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { EXAMPLES, type ExampleCall, mismatch } from "../../functions/examples/calls.ts";
import { Platform } from "../helpers/platform.ts";

let platform: Platform;
before(async () => {
  platform = await Platform.start();
});
after(() => platform.stop());

describe("the examples, deployed with the CLI and called over HTTP", () => {
  for (const { name, directory, calls } of EXAMPLES) {
    describe(name, () => {
      let url = "";
      before(async () => {
        url = (await platform.deploy(directory)).replace(/\/+$/, "");
      });
      for (const call of calls) it(call.shows, () => check(url, call));
    });
  }
});

async function check(url: string, call: ExampleCall): Promise<void> {
  const { method, path, headers = {}, body } = call;
  const given = typeof body === "object" ? new Uint8Array(body) : body;
  const response = await fetch(`${url}${path}`, { method, headers, ...(given !== undefined && { body: given }) });
  const bytes = new Uint8Array(await response.arrayBuffer());
  assert.equal(mismatch(call, { status: response.status, headers: [...response.headers], body: bytes }), null);
}
