import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { chown, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, it } from "node:test";
import { FileArtifactStore } from "../../../functions/store/artifacts.ts";
import { fillDisk, tinyDisk } from "../../helpers/temp-dir.ts";

/** A user that is nobody here. */
const GATEWAY = 2_390_000;
const keepRoot = <T>(work: () => Promise<T>) => work();

let dir: string;
let store: FileArtifactStore;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), "sp-artifacts-"));
  store = new FileArtifactStore(join(dir, "store"));
});
after(() => rm(dir, { recursive: true, force: true }));

it("gives back what it keeps, by its SHA-256", async () => {
  for (const bytes of [Buffer.alloc(0), Buffer.from("abc"), Buffer.alloc(3_000_000, 7)]) {
    const digest = await store.put(bytes);
    assert.equal(digest, createHash("sha256").update(bytes).digest("hex"));
    assert.ok(await store.has(digest));
    assert.deepEqual(await store.get(digest), bytes);
    assert.equal(await store.put(bytes), digest);
  }
});

it("says of what it does not have that it has not", async () => {
  assert.equal(await store.has("0".repeat(64)), false);
  assert.equal(await store.get("0".repeat(64)), null);
});

it("keeps one whole file when many keep the same bytes at once", async () => {
  const bytes = Buffer.alloc(100_000, 1);
  const others = Array.from({ length: 20 }, () => new FileArtifactStore(join(dir, "store")).put(bytes));
  const [digest = ""] = await Promise.all(others);
  assert.deepEqual(await readdir(join(dir, "store", digest.slice(0, 2))), [digest]);
});

it("gives out no bytes that have another digest, and takes them anew", async () => {
  const digest = await store.put(Buffer.from("right"));
  await writeFile(join(dir, "store", digest.slice(0, 2), digest), "wrong");
  await assert.rejects(store.get(digest), /damaged.*set aside/);
  assert.equal(await store.has(digest), false);
  await store.put(Buffer.from("right"));
  assert.equal(String(await store.get(digest)), "right");
});

it("takes nothing but a digest for a digest", async () => {
  for (const digest of ["", "../../etc/passwd", "A".repeat(64), `${"0".repeat(63)}/`]) {
    await assert.rejects(store.get(digest), /64 lower-case hex digits/);
    await assert.rejects(store.has(digest), /64 lower-case hex digits/);
  }
});

it("tells of a full disk, and leaves nothing half written", async (t) => {
  const disk = tinyDisk(t);
  const full = new FileArtifactStore(join(disk, "store"));
  const digest = await full.put(Buffer.from("small"));
  fillDisk(disk);
  await assert.rejects(full.put(Buffer.alloc(50_000)), { code: "STORAGE_FULL", status: 507 });
  assert.equal(String(await full.get(digest)), "small");
  const files = (await readdir(join(disk, "store"), { recursive: true })).filter((name) => name.includes("/"));
  assert.deepEqual(files, [`${digest.slice(0, 2)}/${digest}`]);
});

/** As the gateway of docs/DEPLOYMENT.md: a user of its own beside a worker that is root. */
async function asGateway<T>(work: () => Promise<T>): Promise<T> {
  process.setegid?.(GATEWAY);
  process.seteuid?.(GATEWAY);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
  }
}

for (const first of ["the gateway", "the worker"]) {
  it(`is shared by a gateway with a user of its own and a worker that is root, whoever of them is first: ${first}`, async () => {
    const home = await mkdtemp(join(tmpdir(), "sp-artifacts-"));
    await chown(home, GATEWAY, GATEWAY);
    const shared = new FileArtifactStore(join(home, "data", "artifacts"));
    // Enough that each directory has some of both.
    const batch = (from: number) => Array.from({ length: 400 }, (_, index) => Buffer.from(`${first} ${from + index}`));
    const keep = (bytes: Buffer[]) => Promise.all(bytes.map((one) => shared.put(one)));
    const [as, next] = first === "the gateway" ? [asGateway, keepRoot] : [keepRoot, asGateway];
    const digests = [...(await as(() => keep(batch(0)))), ...(await next(() => keep(batch(300))))];
    for (const who of [asGateway, keepRoot]) {
      await who(async () => {
        for (const digest of digests) assert.ok(await shared.has(digest));
        for (const digest of digests) assert.ok(await shared.get(digest));
      });
    }
    for (const path of [
      "data",
      "data/artifacts",
      ...(await readdir(join(home, "data/artifacts"))).map((name) => `data/artifacts/${name}`),
    ]) {
      const { uid, gid, mode } = await stat(join(home, path));
      assert.deepEqual([uid, gid, mode & 0o777], [GATEWAY, GATEWAY, 0o700], path);
    }
    await rm(home, { recursive: true });
  });
}
