/** An exchange goes where it is told, and says what it is for. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { exchange, textOf } from "../../../../functions/cli/client/http.ts";

test("it connects to another address than its URL's, without looking that up", async (t) => {
  for (const address of ["127.0.0.1", "::1"]) {
    const server = createServer((request, response) => response.end(`${request.headers.host} ${request.url}`));
    t.after(() => server.close());
    await once(server.listen(0, address), "listening");
    const { port } = server.address() as AddressInfo;
    const via = `http://${address === "::1" ? "[::1]" : address}:${port}/base`;
    const call = { method: "GET", url: "https://hello.main.invalid:81/a%2f?b", via };
    assert.equal(await textOf(await exchange({ ...call, headers: [] })), "hello.main.invalid:81 /a%2f?b");
    const named = await exchange({ ...call, headers: [["Host", "mine"]] });
    assert.equal(await textOf(named), "mine /a%2f?b");
  }
  const nobody = { method: "GET", url: "http://hello.main.invalid/", via: "http://127.0.0.1:1", headers: [] };
  await assert.rejects(exchange(nobody), /cannot reach the gateway at http:\/\/127\.0\.0\.1:1: connection refused/);
});
