/** Bundles in a worker's memory. */
import assert from "node:assert/strict";
import { it } from "node:test";
import type { VersionRef } from "../../../functions/model/invocation.ts";
import type { Version } from "../../../functions/model/version.ts";
import { FileArtifactStore } from "../../../functions/store/artifacts.ts";
import { Bundles } from "../../../worker/code/bundles.ts";
import { IncludedFiles } from "../../../worker/code/included-files.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

it("drops what nobody asked for since it looked last, whose version may be gone", async () => {
  const artifacts = new FileArtifactStore(tempDir());
  const digest = await artifacts.put(Buffer.from("code"));
  let reads = 0;
  const versionOfCall = async (ref: VersionRef) => {
    reads++;
    return { ...ref, bundle: digest, sourceMap: digest } as unknown as Version;
  };
  const bundles = new Bundles({
    registry: { versionOfCall },
    artifacts,
    included: new IncludedFiles(artifacts),
    maxBytes: 1_000_000,
  });
  const ref = (functionName: string) => ({ tenant: "main", functionName, version: "1".repeat(64) });
  const [busy, idle] = [ref("busy"), ref("idle")];
  for (const one of [busy, idle]) await bundles.get(one);
  bundles.dropUnused();
  assert.deepEqual([bundles.has(busy), bundles.has(idle)], [true, true]);
  assert.equal(String((await bundles.get(busy)).bundle.code), "code");
  bundles.dropUnused();
  assert.deepEqual([bundles.has(busy), bundles.has(idle), reads], [true, false, 2]);
  bundles.dropUnused();
  assert.equal(bundles.has(busy), false);
  await bundles.get(busy);
  assert.equal(reads, 3);
});
