/** Source files that are uploaded ahead of a deployment, and deployments that name them. */
import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, it } from "node:test";
import type { BuildResult } from "../../../functions/model/build.ts";
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
  const asked = Promise.withResolvers<[string, Buffer]>();
  const build = test.build;
  const own = artifacts.sourcesOf("main");
  test.build = async (request) => {
    asked.resolve([request.sourceDigest, (await own.get(request.sourceDigest)) ?? Buffer.alloc(0)]);
    return build(request);
  };
  assert.equal((await deployNamed("named", files)).status, 201);
  test.build = build;
  const [sourceDigest, tree] = await asked.promise;
  assert.deepEqual([await own.has(sourceDigest), await own.has(digestOf(index))], [false, true], "the tree stays");
  assert.deepEqual(
    unpackSources(tree).map(({ path, bytes }) => [path, Buffer.from(bytes).toString()]),
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

it("are bounded in what a tenant writes in a day, whatever comes of it, and nobody else is", async () => {
  const small = await startTestGateway({ uploadQuotaBytes: 200_000, gcIntervalMs: 0 });
  try {
    const { key: other } = await createKey(small.connection, "other");
    const send = async (path: string, body: Uint8Array<ArrayBuffer> | string, key = small.key, method = "POST") => {
      const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
      const response = await fetch(small.url + path, { method, headers, body });
      return [response.status, await response.text()] as const;
    };
    const upload = (text: string, key?: string) => send("/v1/sources", packed(text) as Uint8Array<ArrayBuffer>, key);
    const deploy = (name: string) => small.deploy(name).then(({ status }) => status);
    assert.deepEqual([await deploy("before"), (await upload("a".repeat(90_000)))[0]], [201, 204]);
    // Of what is there nothing is counted.
    for (let turn = 0; turn < 3; turn++) assert.equal((await upload("a".repeat(90_000)))[0], 204);
    const [status, text] = await upload("b".repeat(110_000));
    const { code, message } = (JSON.parse(text) as { error: { code: string; message: string } }).error;
    assert.deepEqual([status, code], [429, "UPLOAD_QUOTA"]);
    assert.match(message, /wrote \d+\.\d KiB .* last 1 hours, and 111\.4 KiB more .*; 195\.3 KiB .* at most 2 hours\./);
    assert.equal((await upload("b".repeat(110_000), other))[0], 204, "another tenant pays for it");
    // What a build wrote counts as well, and then nothing more is built.
    const build = small.build;
    small.build = async (request) => ({ ...(await build(request)), writtenBytes: 200_000 }) as BuildResult;
    assert.deepEqual([await deploy("large"), await deploy("after"), await deploy("before")], [201, 429, 200]);
    const store = new FileArtifactStore(small.artifactsDir).sourcesOf("main");
    assert.equal(await store.has(digestOf("b".repeat(110_000))), false, "what was refused was kept");
    // An hour later than all of these hours it is as before.
    const [[hour = ""] = []] = [await small.connection.hkeys("sp:uploads:main")];
    const bytes = (await small.connection.hget("sp:uploads:main", hour)) ?? "";
    await small.connection.hset("sp:uploads:main", String(Number(hour) - 2), bytes);
    await small.connection.hdel("sp:uploads:main", hour);
    assert.equal(await deploy("after"), 201);
  } finally {
    await small.stop();
  }
});
