/** Deployments of files in memory, with a real gateway: what is uploaded, and what is not. */
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { createServer, type IncomingMessage, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, beforeEach, it } from "node:test";
import { Gateway } from "../../../../functions/cli/client/gateway.ts";
import type { CliError } from "../../../../functions/cli/failure.ts";
import { deployFiles } from "../../../../functions/cli/upload/deploy-files.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { startTestGateway, type TestGateway } from "../../../helpers/gateway.ts";

const MIB = 1024 * 1024;
let test: TestGateway;
let proxy: Server;
let gateway: Gateway;
/** Bytes of the bodies that went to /v1/sources, and what else was asked. */
let uploads: number[];
let asked: string[];
let inCourse: number;
let mostInCourse: number;
/** Called before a request goes on, which it does not when this says false. */
let onRequest: (line: string) => Promise<unknown> | unknown;

before(async () => {
  test = await startTestGateway();
  proxy = createServer(async (incoming, outgoing) => {
    const line = `${incoming.method} ${incoming.url}`;
    asked.push(line);
    mostInCourse = Math.max(mostInCourse, ++inCourse);
    if (line === "POST /v1/sources") uploads.push(Number(incoming.headers["content-length"]));
    if ((await onRequest(line)) === false) {
      inCourse--;
      outgoing.writeHead(503).end();
      return;
    }
    const { method = "", headers } = incoming;
    const on = request(`${test.url}${incoming.url}`, { method, headers }, (answer: IncomingMessage) => {
      inCourse--;
      outgoing.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(outgoing);
    });
    incoming.pipe(on);
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => proxy.once("listening", resolve));
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  gateway = new Gateway({ url, apiKey: test.key, source: "a test" }, new AbortController().signal);
});
after(async () => {
  proxy.closeAllConnections();
  proxy.close();
  await test.stop();
});
beforeEach(() => {
  [uploads, asked] = [[], []];
  [inCourse, mostInCourse] = [0, 0];
  onRequest = () => {};
});

function files(...contents: (string | Buffer)[]) {
  return contents.map((bytes, index) => ({ path: index === 0 ? "index.ts" : `f${index}`, bytes: Buffer.from(bytes) }));
}
const deployable = (name: string, all: ReturnType<typeof files>) => ({
  config: { name },
  entry: "index.ts",
  files: all,
});

it("uploads what the gateway lacks, each file once, and nothing when nothing changed", async () => {
  const all = deployable("some", files("export default 1", "same", "same", "other"));
  const first = await deployFiles(gateway, all);
  assert.deepEqual([first.created, first.handler, uploads.length], [true, "fetch", 1]);
  assert.equal((await deployFiles(gateway, all)).version, first.version);
  assert.deepEqual(asked.slice(-2), ["POST /v1/sources/missing", "PUT /v1/functions/some"]);
  assert.equal(uploads.length, 1);
  const [, ...others] = all.files;
  await deployFiles(gateway, deployable("some", [...files("export default 2"), ...others]));
  // The head, and of the one file its name and two lengths.
  assert.equal(uploads[1], 12 + 8 + 64 + "export default 2".length);
});

it("uploads several parts at once, and tells how far it is", async () => {
  const large = Array.from({ length: 9 }, (_, index) => Buffer.alloc(MIB - 1, index + 1));
  const told: [number, number][] = [];
  const together = Promise.withResolvers<void>();
  let waiting = 0;
  onRequest = async (line) => {
    if (line !== "POST /v1/sources" || ++waiting > 4) return;
    if (waiting === 4) together.resolve();
    await together.promise;
  };
  const all = deployable("large", files("export default 3", ...large));
  await deployFiles(gateway, all, { onUploaded: (...progress) => told.push(progress) });
  const ofBytes = 9 * (MIB - 1) + 16;
  assert.equal(mostInCourse, 4);
  assert.equal(uploads.length, 10);
  assert.deepEqual(told[0], [0, ofBytes]);
  assert.deepEqual(told.at(-1), [ofBytes, ofBytes]);
  assert.deepEqual(
    told,
    told.toSorted(([one], [other]) => one - other),
  );
});

it("uploads again what was collected between its question and its deployment", async () => {
  const all = deployable("gone", files("export default 4"));
  let isFirst = true;
  onRequest = (line) => {
    if (line === "PUT /v1/functions/gone" && isFirst)
      rmSync(join(test.artifactsDir, "sources/main"), { recursive: true });
    if (line.startsWith("PUT")) isFirst = false;
  };
  assert.equal((await deployFiles(gateway, all)).created, true);
  assert.equal(uploads.length, 2);
});

it("asks nothing when it knows what was there, and everything again when it is gone", async () => {
  const known = new Set<string>();
  const deploy = (text: string) => deployFiles(gateway, deployable("known", files(text, "same")), { known });
  await deploy("export default 'k1'");
  asked.length = 0;
  await deploy("export default 'k2'");
  await deploy("export default 'k2'");
  const put = "PUT /v1/functions/known";
  assert.deepEqual(asked, ["POST /v1/sources", put, put]);
  rmSync(join(test.artifactsDir, "sources/main"), { recursive: true });
  asked.length = 0;
  await deploy("export default 'k3'");
  assert.deepEqual(asked, ["POST /v1/sources", put, "POST /v1/sources/missing", "POST /v1/sources", put]);
  assert.equal(known.size, 2);
});

it("fails as a build does when the version does not load, in words that a terminal may see", async () => {
  const check = test.check;
  test.check = async () => ({ ok: false, cause: "function", message: "index.ts:1:1: \u001b[2Jboom\n  more" });
  const failure = await deployFiles(gateway, deployable("bad", files("export default 5"))).catch((error) => error);
  const { kind, code, message, exitCode } = failure as CliError;
  assert.deepEqual([kind, code, exitCode], ["build", "CHECK_FAILED", 4]);
  assert.equal(message, "index.ts:1:1: \\x1b[2Jboom\n  more");
  assert.equal(
    (await deployFiles(gateway, deployable("bad", files("export default 5")), { check: false })).handler,
    null,
  );
  test.check = check;
});

it("begins no other upload after one that failed", async () => {
  const large = Array.from({ length: 12 }, (_, index) => Buffer.alloc(MIB, index + 50));
  onRequest = (line) => {
    return line !== "POST /v1/sources" || uploads.length !== 1;
  };
  const failed = deployFiles(gateway, deployable("off", files("export default 6", ...large)));
  await assert.rejects(failed, (error: CliError) => error.kind === "unavailable");
  await eventually(() => inCourse === 0);
  assert.ok(uploads.length <= 7, `${uploads.length} uploads`);
});
