/** Source files that are uploaded ahead of a deployment, and deployments that name them. */
import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, it } from "node:test";
import { packSources, unpackSources } from "../../../functions/model/sources.ts";
import { FileArtifactStore, sha256 } from "../../../functions/store/artifacts.ts";
import { Collector } from "../../../functions/store/gc.ts";
import { Registry } from "../../../functions/store/registry.ts";
import { createKey } from "../../../functions/store/tenant.ts";
import { RawClient, startTestGateway, type TestGateway } from "../../helpers/gateway.ts";

let test: TestGateway;
let artifacts: FileArtifactStore;
before(async () => {
  test = await startTestGateway();
  artifacts = new FileArtifactStore(test.artifactsDir);
});
after(() => test.stop());

interface Outcome {
  status: number;
  code: string | undefined;
  message: string | undefined;
  missing: string[] | undefined;
}

async function ask(path: string, body: Uint8Array | object, key = test.key, method = "POST"): Promise<Outcome> {
  const isBytes = body instanceof Uint8Array;
  const response = await fetch(test.url + path, {
    method,
    headers: {
      authorization: `Bearer ${key}`,
      "content-type": isBytes ? "application/octet-stream" : "application/json",
    },
    body: isBytes ? (body as Uint8Array<ArrayBuffer>) : JSON.stringify(body),
  });
  const text = await response.text();
  const { error, missing } = (text === "" ? {} : JSON.parse(text)) as { error?: Outcome; missing?: string[] };
  return { status: response.status, code: error?.code, message: error?.message, missing };
}

const missing = async (digests: string[], key?: string) =>
  (await ask("/v1/sources/missing", { sha256: digests }, key)).missing;
const digestOf = (text: string) => sha256(Buffer.from(text));
const packed = (...texts: string[]) =>
  packSources(texts.map((text) => ({ path: digestOf(text), bytes: Buffer.from(text) })));

function deployNamed(name: string, files: Record<string, string>, key?: string): Promise<Outcome> {
  const named = Object.entries(files).map(([path, sha256]) => ({ path, sha256 }));
  return ask(`/v1/functions/${name}`, { config: { name }, entry: "index.ts", files: named }, key, "PUT");
}

it("are asked for, uploaded, and named by a deployment that is built of exactly them", async () => {
  const [index, other] = ["export default 1", "\u00e9\0"];
  assert.deepEqual(await missing([digestOf(other), digestOf(index), digestOf(other)]), [
    digestOf(other),
    digestOf(index),
  ]);
  assert.equal((await ask("/v1/sources", packed(index))).status, 204);
  assert.deepEqual(await missing([digestOf(index), digestOf(other)]), [digestOf(other)]);

  const files = { "index.ts": digestOf(index), "a/copy.ts": digestOf(index), "b.bin": digestOf(other) };
  const early = await deployNamed("named", files);
  assert.deepEqual([early.status, early.code], [409, "SOURCE_MISSING"]);
  assert.match(early.message ?? "", /^1 of the 3 files/);

  await ask("/v1/sources", packed(other));
  const asked = Promise.withResolvers<string>();
  const build = test.build;
  test.build = (request) => {
    asked.resolve(request.sourceDigest);
    return build(request);
  };
  assert.equal((await deployNamed("named", files)).status, 201);
  test.build = build;
  const tree = unpackSources((await artifacts.get(await asked.promise)) ?? Buffer.alloc(0));
  assert.deepEqual(
    tree.map(({ path, bytes }) => [path, Buffer.from(bytes).toString()]),
    [
      ["a/copy.ts", index],
      ["b.bin", other],
      ["index.ts", index],
    ],
  );
  const info = (await (await test.api("/v1/functions/named")).json()) as { files: { path: string; bytes: number }[] };
  assert.deepEqual(
    info.files.map(({ path, bytes }) => [path, bytes]),
    [
      ["index.ts", 16],
      ["a/copy.ts", 16],
      ["b.bin", 3],
    ],
  );
});

it("make the same version whether they are named or come along", async () => {
  const text = "export default 2";
  await ask("/v1/sources", packed(text));
  await deployNamed("both", { "index.ts": digestOf(text) });
  const versionOf = async () => ((await (await test.api("/v1/functions/both")).json()) as { version: string }).version;
  const named = await versionOf();
  const files = [{ path: "index.ts", contentBase64: Buffer.from(text).toString("base64") }];
  await ask("/v1/functions/both", { config: { name: "both" }, entry: "index.ts", files }, test.key, "PUT");
  assert.equal(await versionOf(), named);
});

it("of one tenant are nobody else's, and nobody else can tell whether they are there", async () => {
  const { key } = await createKey(test.connection, "other");
  const text = "export default 'mine'";
  await ask("/v1/sources", packed(text));
  assert.deepEqual(await missing([digestOf(text)], key), [digestOf(text)]);
  const stolen = await deployNamed("stolen", { "index.ts": digestOf(text) }, key);
  assert.deepEqual([stolen.status, stolen.code], [409, "SOURCE_MISSING"]);
  await ask("/v1/sources", packed(text), key);
  assert.deepEqual(await missing([digestOf(text)], key), []);
});

it("are refused unless each has the digest that it came as, and none is kept then", async () => {
  const good = { path: digestOf("good"), bytes: Buffer.from("good") };
  for (const [body, pattern] of [
    [packSources([good, { path: digestOf("claimed"), bytes: Buffer.from("another") }]), /have another SHA-256/],
    [packSources([good, { path: "index.ts", bytes: Buffer.from("x") }]), /"index\.ts" have another SHA-256/],
    [packed("good").subarray(0, -1), /ends too early/],
    [Buffer.from("{}"), /ends too early/],
  ] as const) {
    const answer = await ask("/v1/sources", body);
    assert.deepEqual([answer.status, answer.code], [400, "INVALID_SOURCE"]);
    assert.match(answer.message ?? "", pattern);
  }
  assert.deepEqual(await missing([digestOf("good"), digestOf("another")]), [digestOf("good"), digestOf("another")]);
  assert.equal((await ask("/v1/sources", new Uint8Array(0))).code, "INVALID_REQUEST");
});

it("are refused before they are read when they are too large, and so are too many digests", async () => {
  const client = new RawClient(test.url);
  client.send(
    `POST /v1/sources HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${test.key}\r\ncontent-length: 100000000\r\n\r\n`,
  );
  assert.match(await client.until(/\}\}$/), /^HTTP\/1.1 413 [\s\S]*BODY_TOO_LARGE/);
  client.close();
  const many = await ask("/v1/sources/missing", { sha256: Array(5_001).fill(digestOf("x")) });
  assert.deepEqual([many.status, many.code], [400, "INVALID_REQUEST"]);
  for (const digest of ["../../etc/passwd", "A".repeat(64), 1]) {
    assert.equal((await ask("/v1/sources/missing", { sha256: [digest] })).code, "INVALID_REQUEST");
  }
});

it("are too large together before any is read", async () => {
  const bytes = Buffer.alloc(30 * 1024 * 1024, 1);
  await ask("/v1/sources", packSources([{ path: sha256(bytes), bytes }]));
  const digest = sha256(bytes);
  // Whoever read it would find that it is damaged, and call it missing.
  await writeFile(join(test.artifactsDir, "sources", "main", digest.slice(0, 2), digest), Buffer.alloc(bytes.length));
  const answer = await deployNamed("large", { "index.ts": digest, "a.bin": digest, "b.bin": digest });
  assert.deepEqual([answer.status, answer.code], [400, "INVALID_SOURCE"]);
  assert.match(answer.message ?? "", /94371840 bytes are more than/);
});

it("that were damaged are uploaded anew", async () => {
  const text = "export default 'damaged'";
  const digest = digestOf(text);
  await ask("/v1/sources", packed(text));
  await writeFile(join(test.artifactsDir, "sources", "main", digest.slice(0, 2), digest), "something else");
  assert.equal((await deployNamed("damaged", { "index.ts": digest })).code, "SOURCE_MISSING");
  assert.deepEqual(await missing([digest]), [digest]);
  await ask("/v1/sources", packed(text));
  assert.equal((await deployNamed("damaged", { "index.ts": digest })).status, 201);
});

it("are collected when no version is made of them, and stay while one is", async () => {
  const [used, left] = ["export default 'used'", "export default 'left'"];
  await ask("/v1/sources", packed(used, left));
  await deployNamed("collected", { "index.ts": digestOf(used) });
  const { key } = await createKey(test.connection, "other");
  await ask("/v1/sources", packed(used), key);
  const limits = { keepVersions: 10, keepVersionsMs: 3_600_000, graceMs: 0 };
  const parts = { redis: test.connection, registry: new Registry(test.connection), artifacts };
  const collector = new Collector({ ...parts, limits });
  // The first collection sets it aside, and whoever asks has it back.
  await collector.collect({ dryRun: false });
  assert.deepEqual(await missing([digestOf(left)]), []);
  for (let round = 0; round < 3; round++) await collector.collect({ dryRun: false });
  assert.deepEqual(await missing([digestOf(used), digestOf(left)]), [digestOf(left)]);
  assert.deepEqual(await missing([digestOf(used)], key), [digestOf(used)], "another tenant's version kept it");
  assert.deepEqual(await test.connection.keys("sp:gc:marks:*"), []);
  await rm(join(test.artifactsDir, "sources", "main"), { recursive: true });
});
