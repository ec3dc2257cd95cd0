import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { UpError } from "../../../infra/up/failure.ts";
import { findOnPath } from "../../../infra/up/path-search.ts";
import { ensureRedisServer } from "../../../infra/up/redis-install.ts";
import { createSteps } from "../../../infra/up/steps.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const silent = createSteps({ write: () => true }, false);

test("a redis-server on PATH is taken as it is", async () => {
  const expected = findOnPath("redis-server", process.env.PATH);
  assert.equal(await ensureRedisServer(process.env, silent), expected);
});

test("without apt the error names the way out", async () => {
  await assert.rejects(ensureRedisServer({ PATH: tempDir() }, silent), (error: unknown) => {
    return error instanceof UpError && /no apt-get/.test(error.message) && /REDIS_URL/.test(error.hint);
  });
});

test("when apt fails, the error shows its words and the command to type", async () => {
  const dir = tempDir();
  // The package manager itself is out of reach here; what is tested is what we make of its failure.
  writeFileSync(join(dir, "apt-get"), '#!/bin/sh\necho "E: $1 failed" >&2\nexit 100\n', { mode: 0o755 });
  await assert.rejects(ensureRedisServer({ PATH: dir }, silent), (error: unknown) => {
    assert.ok(error instanceof UpError);
    assert.match(error.message, /E: update failed\n {2}E: install failed/);
    assert.match(error.hint, /apt-get update && apt-get install redis-server/);
    return true;
  });
});
