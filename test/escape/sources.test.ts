/**
 * Requirements 20 to 23: source trees that are traps, given to a worker past the gateway's checks,
 * and uploads that are, given to a gateway: (20) paths that lead out, (21) links and devices, (22)
 * bombs, (23) a million entries.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { MAX_PATH_SEGMENTS, MAX_SOURCE_FILES } from "../../functions/model/sources.ts";
import { FileArtifactStore } from "../../functions/store/artifacts.ts";
import { startTestGateway, type TestGateway } from "../helpers/gateway.ts";
import { TestWorker } from "../helpers/worker.ts";

const MEBIBYTE = 1024 * 1024;
const ENTRY: [path: string, bytes: string] = ["index.ts", "export default 1;"];

const u32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

/** A packed tree as packSources makes them, without its checks. */
function pack(files: [path: string, bytes: string][], count = files.length): Buffer {
  const parts = files.flatMap(([path, bytes]) => [
    u32(Buffer.byteLength(path)),
    Buffer.from(path),
    u32(bytes.length),
    Buffer.from(bytes),
  ]);
  return Buffer.concat([Buffer.from("SPSRC001"), u32(count), ...parts]);
}

describe("a packed tree that a worker gets", () => {
  let test: TestWorker;
  before(async () => {
    test = await TestWorker.start();
  });
  after(() => test.stop());

  async function refused(packed: Uint8Array, why: RegExp): Promise<void> {
    const result = await test.buildPacked(packed);
    assert.equal(result.ok, false, "the tree was taken");
    assert.match(result.ok ? "" : result.message, why);
  }

  const escaped = join(tmpdir(), `sp-escaped-${process.pid}`);
  for (const path of [
    `../../../../../../../..${escaped}`,
    escaped,
    `a/../../../../../../../../..${escaped}`,
    `a/./../../b`,
    "..",
    ".",
    "",
    "a//b",
    "a\\..\\..\\b",
    "a\0b",
    "a\nb",
    "x/".repeat(400),
    "n".repeat(300),
  ])
    it(`(20) has no path ${JSON.stringify(path.slice(0, 60))}`, async () => {
      await refused(pack([ENTRY, [path, "x"]]), /The source tree cannot be used: the path/);
      assert.equal(existsSync(escaped), false);
    });

  it("(20) has no path in an encoding that a disk reads differently", async () => {
    const overlong = Buffer.concat([u32(5), Buffer.from([0x2e, 0xc0, 0xae, 0x2f, 0x78]), u32(0)]);
    await refused(Buffer.concat([Buffer.from("SPSRC001"), u32(1), overlong]), /UTF-8/);
  });

  it("(21) is written as plain files and directories of the platform's own, whatever its bytes look like", async () => {
    // A tar archive with a symbolic link and a device in it is a file like any other.
    const files: [string, string][] = [
      ENTRY,
      ["link.tar", "ustar\0 lnk -> /etc/passwd"],
      ["dev/null", "x"],
      ["etc/passwd", "x"],
      ["proc/self", "x"],
    ];
    assert.equal((await test.buildPacked(pack(files))).ok, true);
    assert.ok(lstatSync("/dev/null").isCharacterDevice());
  });

  it("(21) has nothing that is file and directory, and nothing twice: no link could be followed", async () => {
    await refused(pack([ENTRY, ["a", "x"], ["a/b", "x"]]), /both a file and a directory/);
    await refused(pack([ENTRY, ENTRY]), /twice/);
  });

  it("(21) leaves the worker no directory of a build behind", async () => {
    const left = () => readdirSync(tmpdir()).filter((name) => name.startsWith("sandpiper-build-")).length;
    const before = left();
    await test.buildPacked(pack([ENTRY]));
    await refused(pack([["index.ts", "import '/etc/shadow';"]]), /resolve/);
    assert.ok(left() <= before);
  });

  it("(22) is no archive, and says no more than it has", async () => {
    await refused(gzipSync(pack([ENTRY])), /no packed source tree/);
    await refused(Buffer.concat([pack([ENTRY]), Buffer.from("more")]), /after the last file/);
    const claims = Buffer.concat([Buffer.from("SPSRC001"), u32(1), u32(8), Buffer.from("index.ts"), u32(0xffffffff)]);
    await refused(claims, /ends too early/);
    await refused(Buffer.concat([Buffer.from("SPSRC001"), u32(1), u32(0xffffffff)]), /ends too early/);
  });

  it("(22) that becomes several times as much in a bundle is refused", async () => {
    const kinds = ["text", "base64", "bytes"];
    const entry = `${kinds.map((kind) => `import ${kind} from "./big.txt" with { type: "${kind}" };`).join("\n")}
      export default [${kinds.join(", ")}];`;
    await refused(
      pack([
        ["index.ts", entry],
        ["big.txt", "x".repeat(40 * MEBIBYTE)],
      ]),
      /larger than the limit|needed more than/,
    );
  });

  it("(23) does not claim a million files, and does not have more than it may", async () => {
    await refused(pack([ENTRY], 1_000_000), /1000000 files are more/);
    await refused(pack([ENTRY], 0xffffffff), /files are more/);
    const file = Buffer.concat([u32(1), Buffer.from("a"), u32(0)]);
    const million = Buffer.alloc(1_000_000 * file.length, file);
    await refused(Buffer.concat([Buffer.from("SPSRC001"), u32(1_000_000), million]), /1000000 files are more/);
  });

  it("(23) has as many files and directories as it may, and is built", async () => {
    const files = Array.from({ length: MAX_SOURCE_FILES - 1 }, (_, index): [string, string] => [
      `${"d/".repeat(index % MAX_PATH_SEGMENTS)}f${index}`,
      "",
    ]);
    assert.equal((await test.buildPacked(pack([ENTRY, ...files]))).ok, true);
  });
});

describe("an upload that a gateway gets", () => {
  let gateway: TestGateway;
  before(async () => {
    gateway = await startTestGateway();
    gateway.build = () => Promise.reject(new Error("no build may be asked for"));
  });
  after(() => gateway.stop());

  const put = (body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) =>
    gateway.api("/v1/functions/trap", {
      method: "PUT",
      body,
      headers: { "content-type": "application/json", ...headers },
    });
  const upload = (...paths: string[]) =>
    JSON.stringify({
      config: { name: "trap" },
      entry: "index.ts",
      files: ["index.ts", ...paths].map((path) => ({ path, contentBase64: "" })),
    });

  const cases: [name: string, body: () => string | Uint8Array<ArrayBuffer>, headers?: Record<string, string>][] = [
    ["(20) a path that leads out", () => upload("../../etc/cron.d/x")],
    ["(20) an absolute path", () => upload("/etc/cron.d/x")],
    [
      "(21) a link, as no file has more than a path and bytes",
      () => upload("a").replace('"path":"a"', '"path":"a","link":"/etc/passwd"'),
    ],
    [
      "(21) a mode, an owner, a device",
      () => upload("a").replace('"path":"a"', '"path":"a","mode":"020666","rdev":259'),
    ],
    ["(22) a compressed bomb", () => gzipSync(Buffer.alloc(100 * MEBIBYTE, " ")), { "content-encoding": "gzip" }],
    ["(22) JSON that is deeper than any stack", () => "[".repeat(MEBIBYTE)],
    ["(22) a body above the limit", () => Buffer.alloc(100 * MEBIBYTE, " ")],
    [
      "(23) a million files",
      () => upload("a").replace(/(,\{[^{]*\})\]/, (_, file: string) => `${file.repeat(1_000_000)}]`),
    ],
  ];
  for (const [name, body, headers] of cases)
    it(`${name}: is refused, and the next request is answered`, async () => {
      const { status } = await put(body(), headers).catch(() => ({ status: 413 }));
      assert.ok(status >= 400 && status < 500, `${status}`);
      assert.equal((await fetch(`${gateway.url}/healthz`)).status, 200);
      assert.equal((await gateway.api("/v1/functions/trap")).status, 404);
    });
});

describe("(21) an artefact store", () => {
  it("whose directory holds a link gives no bytes for it that are not what was asked for", async () => {
    const directory = mkdtempSync(join(tmpdir(), "sp-artifacts-"));
    const digest = createHash("sha256").update("wanted").digest("hex");
    mkdirSync(join(directory, digest.slice(0, 2)));
    symlinkSync("/etc/hostname", join(directory, digest.slice(0, 2), digest));
    const found = await new FileArtifactStore(directory).get(digest).catch(() => null);
    assert.equal(found, null);
    rmSync(directory, { recursive: true });
  });
});
