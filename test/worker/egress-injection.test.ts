/** Functions whose requests get what they do not hold, over a real relay and injector. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { chmodSync, mkdtempSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { createServer } from "node:https";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { DataKeys } from "../../functions/store/data-keys.ts";
import { changeGrants } from "../../functions/store/egress-grants.ts";
import { SecretStore } from "../../functions/store/secrets.ts";
import { injectorPid } from "../helpers/egress.ts";
import { eventually } from "../helpers/eventually.ts";
import { tempDir } from "../helpers/temp-dir.ts";
import { TestAuthority } from "../helpers/tls-authority.ts";
import { TestWorker } from "../helpers/worker.ts";

/** An address of loopback that no other test has, as the server is on port 443. */
const ADDRESS = `127.${64 + ((process.pid >> 8) & 63)}.${process.pid & 255}.9`;
const HOST = "api.example.com";

const authority = new TestAuthority();
let test: TestWorker;
let secrets: SecretStore;
/** Values of the injected field, as they came. */
const seen: (string | undefined)[] = [];
/** A request that is not answered. */
let hanging = Promise.withResolvers<IncomingMessage>();
const server = createServer(authority.certify(HOST), (request, response) => {
  seen.push(request.headers.authorization);
  if (request.url === "/hang") hanging.resolve(request);
  else response.end(`you asked ${request.url}`);
});

before(async () => {
  const base = tempDir();
  const directory = mkdtempSync(join(base, "hosts-"));
  for (const path of [base, directory]) chmodSync(path, 0o755);
  const [hosts, ca] = [join(directory, "hosts"), join(directory, "ca.pem")];
  writeFileSync(hosts, `${ADDRESS} ${HOST}\n`);
  writeFileSync(ca, authority.certificate);
  server.listen(443, ADDRESS);
  await once(server, "listening");
  test = await TestWorker.start({ SANDPIPER_EGRESS_HOSTS_FILE: hosts, SANDPIPER_EGRESS_CA_FILE: ca });
  secrets = new SecretStore(test.connection, new DataKeys(test.connection, test.masterKeys));
  await changeGrants(test.connection, "main", () => ({ allow: null, deny: [], private: ["127.0.0.0/8"] }));
  await secrets.set(scope("pay"), "STRIPE", "the first value");
  await secrets.set(scope("pay"), "OTHER", "another value");
  await test.deploy("pay", CLIENT, { egress: [{ to: HOST, inject, methods: ["GET", "POST"] }] });
});
after(async () => {
  await test.stop();
  server.closeAllConnections();
  server.close();
});

/** Asks with fetch, with node:https or in a thread, and answers with what came of it. */
const CLIENT = `
import { get } from "node:https";
import { getCACertificates } from "node:tls";
import { text } from "node:stream/consumers";
import { Worker } from "node:worker_threads";
const FETCH = 'fetch("https://${HOST}/thread").then((r) => r.text())';
export default async (request, env) => {
  const pathname = "/" + new URL(request.url).pathname.split("/").at(-1);
  const url = "https://${HOST}" + pathname;
  try {
    if (pathname === "/env") return Response.json({ env, process: process.env });
    if (pathname === "/thread") {
      const worker = new Worker(FETCH + '.then((t) => require("node:worker_threads").parentPort.postMessage(t))', { eval: true });
      return new Response(await new Promise((resolve, reject) => worker.on("message", resolve).on("error", reject)));
    }
    if (pathname === "/ca") return new Response(await new Promise((resolve, reject) => get(url, { ca: getCACertificates("default") }, (answer) => resolve(text(answer))).on("error", reject)));
    if (pathname === "/https") return new Response(await new Promise((resolve, reject) => get(url, (answer) => resolve(text(answer))).on("error", reject)));
    const answer = await fetch(url, { method: request.method, headers: { authorization: "mine" } });
    return new Response(await answer.text(), { status: answer.status });
  } catch (error) {
    if (pathname === "/hang") throw error;
    return new Response(String(error.cause?.code ?? error), { status: 500 });
  }
};
`;
const inject = { authorization: "Bearer {{secrets.STRIPE}}" };
const scope = (functionName: string | null) => ({ tenant: "main", functionName });

/** Waits for words of the platform in a call's log. */
async function said(name: string, id: string, words: RegExp): Promise<void> {
  await eventually(async () => {
    const lines = (await test.logs(name, id)).filter(({ source }) => source === "platform");
    return lines.some(({ text }) => words.test(text));
  });
}

describe("a function with a rule that injects", () => {
  it("sends the secret by fetch, by node:https and from a thread, and has it nowhere", async () => {
    for (const path of ["/fetch", "/https", "/ca", "/thread"]) {
      const answered = await test.call("pay", { path });
      assert.equal(answered.text, `you asked ${path}`);
      assert.equal(seen.at(-1), "Bearer the first value", path);
    }
    const { text } = await test.call("pay", { path: "/env" });
    assert.match(text, /another value/);
    assert.doesNotMatch(text, /the first value|STRIPE/);
  });

  it("is refused another method, and its log says what to do", async () => {
    const answered = await test.call("pay", { path: "/x", method: "DELETE" });
    assert.equal(answered.status, 403);
    assert.equal(JSON.parse(answered.text).error.code, "method_refused");
    await said(
      "pay",
      answered.id,
      /A request to api\.example\.com:443 was refused \(method_refused\)\. DELETE is none.*"methods"/,
    );
  });

  it("sends another value as soon as the secret has one", async () => {
    await test.call("pay", { path: "/before" });
    await secrets.set(scope("pay"), "STRIPE", "the second value");
    await eventually(async () => {
      await test.call("pay", { path: "/after" });
      return seen.at(-1) === "Bearer the second value";
    });
  });

  it("needs the secret to be set", async () => {
    await test.deploy("lacks", CLIENT, { egress: [{ to: HOST, inject }] });
    const refused = await test.call("lacks", { path: "/fetch" });
    assert.equal(refused.error?.code, "SECRET_MISSING");
    await said("lacks", refused.id, /STRIPE is declared, and it is not set/);
    await secrets.set(scope("lacks"), "STRIPE", "two\nlines");
    await eventually(async () => (await test.call("lacks", { path: "/fetch" })).error?.code === "SECRET_UNFIT");
  });
});

describe("the injector's death", () => {
  it("is nothing that a function is blamed for, and passes", async () => {
    hanging = Promise.withResolvers();
    const calling = test.call("pay", { path: "/hang" });
    await hanging.promise;
    process.kill(injectorPid(), "SIGKILL");
    const answered = await calling;
    assert.deepEqual([answered.outcome, answered.error?.code], ["platform_error", "EGRESS_LOST"]);
    await eventually(async () => (await test.call("pay", { path: "/again" })).text === "you asked /again");
  });

  it("is no concern of the relay's, whose own death passes as well", async () => {
    hanging = Promise.withResolvers();
    const calling = test.call("pay", { path: "/hang" });
    await hanging.promise;
    const before = injectorPid();
    process.kill(test.worker.relayPid ?? assert.fail("there is no relay"), "SIGKILL");
    assert.equal((await calling).error?.code, "EGRESS_LOST");
    assert.equal((await test.call("pay", { path: "/again" })).text, "you asked /again");
    assert.equal(injectorPid(), before);
  });
});
