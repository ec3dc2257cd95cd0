import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import { checkMachine, checkPort } from "../../../infra/up/checks.ts";
import { UpError } from "../../../infra/up/failure.ts";

const hinted = (message: RegExp, hint: RegExp) => (error: unknown) =>
  error instanceof UpError && message.test(error.message) && hint.test(error.hint);

test("another system and another user are told what to do", () => {
  checkMachine("linux", 0);
  assert.throws(() => checkMachine("darwin", 0), hinted(/Linux only.*darwin/, /Linux machine/));
  assert.throws(() => checkMachine("linux", 1000), hinted(/root/, /sudo npm start/));
});

test("a port in use is told with a way out", async (t) => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  await assert.rejects(
    checkPort("127.0.0.1", port),
    hinted(new RegExp(`port ${port} on 127.0.0.1 is in use`), /--port 0/),
  );
  await checkPort("127.0.0.1", 0);
});

test("an address that is not this machine's is told too", async () => {
  await assert.rejects(checkPort("192.0.2.1", 0), hinted(/cannot listen on 192\.0\.2\.1/, /--host/));
});
