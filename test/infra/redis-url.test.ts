import assert from "node:assert/strict";
import { test } from "node:test";
import { parseRedisUrl, redactRedisUrl } from "../../infra/redis-url.ts";

test("URLs of every kind become connection options", () => {
  assert.deepEqual(parseRedisUrl("redis://cache:7000/2"), { host: "cache", port: 7000, db: 2 });
  assert.deepEqual(parseRedisUrl("rediss://a:p%40ss@[::1]"), {
    host: "::1",
    port: 6379,
    db: 0,
    username: "a",
    password: "p@ss",
    tls: {},
  });
  assert.deepEqual(parseRedisUrl("unix:///run/my%20redis.sock?db=3"), { path: "/run/my redis.sock", db: 3 });
  assert.deepEqual(parseRedisUrl("/run/redis.sock"), { path: "/run/redis.sock", db: 0 });
});

test("what is no Redis URL is refused without being quoted", () => {
  for (const url of ["http://x", "redis://", "unix://host/sock", "unix:///", "redis://h:1/x", "nonsense"]) {
    assert.throws(() => parseRedisUrl(url), /^Error: must /, url);
  }
  assert.throws(() => parseRedisUrl(`unix:///${"x".repeat(107)}`), /at most 107 bytes/);
});

test("a URL for logs holds neither user nor password", () => {
  assert.equal(redactRedisUrl("redis://user:hunter2@host:1/2"), "redis://host:1/2");
  assert.equal(redactRedisUrl("hunter2"), "(not a URL)");
});
