import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { connectRedis } from "../../../infra/redis.ts";
import { type DataDir, openDataDir } from "../../../infra/up/data-dir.ts";
import { UpError } from "../../../infra/up/failure.ts";
import { ProcessRecord } from "../../../infra/up/leftovers.ts";
import { findOnPath } from "../../../infra/up/path-search.ts";
import { identify } from "../../../infra/up/process-id.ts";
import { checkRedis, checkRedisData, redisProgram } from "../../../infra/up/redis-server.ts";
import { Supervisor } from "../../../infra/up/supervisor.ts";
import { startRedis } from "../../helpers/redis.ts";
import { fillDisk, tempDir, tinyDisk } from "../../helpers/temp-dir.ts";

const REDIS = String(findOnPath("redis-server", process.env.PATH));
const PARENT = new URL("../fixtures/redis-parent.ts", import.meta.url).pathname;
const STOP = { graceMs: 30_000, hurry: new AbortController().signal };

function superviseRedis(t: TestContext, dir: DataDir): Supervisor {
  const hooks = { record: new ProcessRecord(dir.processesFile), note: () => {}, gaveUp: () => {}, hangLimitMs: 0 };
  const supervisor = new Supervisor(redisProgram(REDIS, dir, process.env), hooks);
  t.after(() => supervisor.stop(STOP));
  return supervisor;
}

test("it listens on a private socket only, keeps everything, and leaves no socket", async (t) => {
  const dir = openDataDir(tempDir());
  const first = superviseRedis(t, dir);
  await first.start();
  const redis = connectRedis(`unix://${dir.redisSocket}`, "test");
  assert.equal((statSync(dir.redisSocket).mode & 0o777).toString(8), "700");
  const settings = ["port", "appendonly", "appendfsync", "maxmemory-policy", "dir", "save"];
  const values = await Promise.all(settings.map(async (name) => ((await redis.config("GET", name)) as string[])[1]));
  assert.deepEqual(values, ["0", "yes", "everysec", "noeviction", dir.redisDir, ""]);
  await redis.set("kept", "1");
  redis.disconnect();
  await first.stop(STOP);
  assert.ok(!existsSync(dir.redisSocket));

  const second = superviseRedis(t, dir);
  await second.start();
  const again = connectRedis(`unix://${dir.redisSocket}`, "test");
  assert.equal(await again.get("kept"), "1");
  again.disconnect();
  await second.stop(STOP);
});

test("it ends with its parent, also when that is killed", async () => {
  const dir = openDataDir(tempDir());
  const parent = spawn(process.execPath, [PARENT, dir.path], { stdio: ["ignore", "pipe", "inherit"] });
  const [output] = await once(parent.stdout, "data");
  const pid = Number(output);
  assert.ok(identify(pid));
  const redis = connectRedis(`unix://${dir.redisSocket}`, "test");
  await redis.ping();
  const closed = once(redis, "close");
  parent.kill("SIGKILL");
  await closed;
  redis.disconnect();
});

test("a Redis that cannot start says why in its own words", async (t) => {
  const dir = openDataDir(tempDir());
  const broken = { ...dir, redisDir: dir.path, redisSocket: `${dir.path}/missing/redis.sock` };
  await assert.rejects(
    superviseRedis(t, broken).start(),
    /Redis could not start\. Its last words:.*bind: No such file/s,
  );
  assert.deepEqual(
    readdirSync(dir.path).filter((name) => name.endsWith(".sock")),
    [],
  );
});

test("the Redis of REDIS_URL is checked: reachable, and keeping what it is given", async (t) => {
  const server = await startRedis();
  t.after(() => server.stop());
  assert.deepEqual(await checkRedis(server.url, []), []);
  await server.connect().config("SET", "maxmemory-policy", "allkeys-lru");
  await server.connect().config("SET", "appendonly", "no");
  await assert.rejects(checkRedis(server.url, ["in-memory"]), (error: unknown) => {
    assert.ok(error instanceof UpError);
    assert.match(error.message, /maxmemory-policy allkeys-lru/);
    assert.doesNotMatch(error.message, /on disk/);
    assert.match(error.hint, /SANDPIPER_ALLOW_REDIS=evicting/);
    return true;
  });
  const warnings = await checkRedis(server.url, ["in-memory", "evicting"]);
  assert.match(warnings.join("\n"), /allkeys-lru.*\n.*nothing on disk/);
});

test("a Redis that is not there is named without its password", async () => {
  await assert.rejects(checkRedis("redis://:hunter2@127.0.0.1:1", []), (error: unknown) => {
    assert.ok(error instanceof UpError);
    assert.match(error.message, /redis:\/\/127\.0\.0\.1:1\S* cannot be reached: .*ECONNREFUSED/);
    assert.doesNotMatch(error.message, /hunter2/);
    return true;
  });
});

const explained = (message: RegExp, hint: RegExp) => (error: unknown) =>
  error instanceof UpError && message.test(error.message) && hint.test(error.hint);

/** An append-only directory that begins with such a file. */
function leftData(dir: DataDir, name: string, content: Buffer): void {
  const directory = join(dir.redisDir, "appendonlydir");
  mkdirSync(directory);
  writeFileSync(join(directory, name), content);
  const type = name.endsWith(".rdb") ? "b" : "i";
  writeFileSync(join(directory, "appendonly.aof.manifest"), `file ${name} seq 1 type ${type}\n`);
}

test("data that this Redis cannot read is told with what to do", async (t) => {
  const [newer, damaged] = [openDataDir(tempDir()), openDataDir(tempDir())];
  leftData(newer, "appendonly.aof.1.base.rdb", Buffer.from("REDIS0099\xff\0\0\0\0\0\0\0\0", "latin1"));
  leftData(damaged, "appendonly.aof.1.incr.aof", Buffer.from("nonsense\n"));
  await Promise.all([
    assert.rejects(
      superviseRedis(t, newer).start(),
      explained(/RDB format version 99/, /install the Redis that wrote/),
    ),
    assert.rejects(superviseRedis(t, damaged).start(), explained(/Bad file format/, /redis-check-aof --fix/)),
  ]);
});

test("a full disk is told with what to do", async (t) => {
  const disk = tinyDisk(t);
  const dir = openDataDir(join(disk, "data"));
  fillDisk(disk);
  await assert.rejects(superviseRedis(t, dir).start(), explained(/No space left on device/, /free some space/));
});

test("a Redis that would not find what a newer one left is not started", async () => {
  const dir = openDataDir(tempDir());
  const old = join(tempDir(), "redis-server");
  writeFileSync(old, '#!/bin/sh\necho "Redis server v=6.2.14 sha=00000000:0 malloc=libc bits=64"\n', { mode: 0o755 });
  await checkRedisData(old, dir);
  mkdirSync(join(dir.redisDir, "appendonlydir"));
  await checkRedisData(REDIS, dir);
  await assert.rejects(
    checkRedisData(old, dir),
    explained(/is version 6\.2\.14, which would not find it/, /install Redis 7/),
  );
});
