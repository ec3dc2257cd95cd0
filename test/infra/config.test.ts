import assert from "node:assert/strict";
import { test } from "node:test";
import { loadConfig } from "../../infra/config.ts";
import { ConfigError } from "../../infra/environment.ts";

test("an empty environment gives the documented defaults", () => {
  const config = loadConfig({ SANDPIPER_DATA_DIR: "/data", SANDPIPER_PORT: "" });
  assert.equal(config.redisUrl, "unix:///data/redis.sock");
  assert.equal(config.artifactsDir, "/data/artifacts");
  assert.equal(config.port, 8787);
  assert.equal(config.maxBodyBytes, 6 * 1024 * 1024);
  assert.equal(config.publicUrl, null);
  assert.equal(config.bootstrapKeyFile, null);
  assert.deepEqual([config.worker.uidBase, config.worker.uidCount], [700_000, 65_536]);
});

test("every wrong variable is named at once, without its value", () => {
  const env = {
    REDIS_URL: "http://user:hunter2@host",
    SANDPIPER_PORT: "80x",
    SANDPIPER_PUBLIC_URL: "ftp://x",
    SANDPIPER_LAUNCHER: "docker",
    SANDPIPER_UID_COUNT: "3",
  };
  assert.throws(
    () => loadConfig(env),
    (error: ConfigError) => {
      assert.ok(error instanceof ConfigError);
      assert.equal(error.problems.length, Object.keys(env).length);
      for (const name of Object.keys(env)) assert.match(error.message, new RegExp(name));
      assert.doesNotMatch(error.message, /hunter2/);
      return true;
    },
  );
});

test("a public URL loses the slash at its end", () => {
  assert.equal(loadConfig({ SANDPIPER_PUBLIC_URL: "https://fn.example/base/" }).publicUrl, "https://fn.example/base");
});

test("walls that may be missing are names, separated by commas", () => {
  const allowed = (text: string) => loadConfig({ SANDPIPER_ALLOW_DEGRADED: text }).worker.allowDegraded;
  assert.deepEqual(allowed(""), []);
  assert.deepEqual(allowed("landlock, swap-limit,"), ["landlock", "swap-limit"]);
  for (const text of ["Landlock", "landlock;x", "-a"])
    assert.throws(() => allowed(text), /SANDPIPER_ALLOW_DEGRADED must be names/);
});

test("networks are addresses, with a prefix or without, or none", () => {
  const clients = (text: string) => loadConfig({ SANDPIPER_UNLIMITED_CLIENTS: text }).unlimitedClients;
  assert.deepEqual(clients(""), ["127.0.0.0/8", "::1"]);
  assert.deepEqual(clients("none"), []);
  assert.deepEqual(clients("10.0.0.0/8, 192.0.2.1,2001:db8::/32"), ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"]);
  assert.deepEqual(loadConfig({}).trustedProxies, []);
  for (const text of ["localhost", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/8/8", "10.0.0.1,", "fe80::1%eth0"])
    assert.throws(() => clients(text), /SANDPIPER_UNLIMITED_CLIENTS must be "none", or addresses/);
});

test("numbers are whole, in range and decimal", () => {
  for (const text of ["-1", "65536", "1e3", "0x10", " 1", "1.5"]) {
    assert.throws(() => loadConfig({ SANDPIPER_PORT: text }), /SANDPIPER_PORT must be a whole number from 0 to 65535/);
  }
});

test("nothing may be collected that a waiting call or a deployment still needs", () => {
  const env = { SANDPIPER_QUEUE_WAIT_MS: "900000" };
  assert.equal(loadConfig({ ...env, SANDPIPER_GC_GRACE_MS: "1500000" }).gcGraceMs, 1_500_000);
  assert.throws(
    () => loadConfig({ ...env, SANDPIPER_GC_GRACE_MS: "1499999" }),
    /GC_GRACE_MS must be at least 600000 more/,
  );
});

test("a domain of functions is a plain name, with room for two more", () => {
  const domain = (text: string) => loadConfig({ SANDPIPER_FUNCTION_DOMAIN: text }).functionDomain;
  const longest = `${"x".repeat(62)}.${"y".repeat(62)}`;
  assert.deepEqual([domain(""), domain("FN.Example.com"), domain(longest)], ["localhost", "fn.example.com", longest]);
  const wrong = [
    "*.example.com",
    "example.com.",
    ".com",
    "a..b",
    "https://a.example",
    "a.example:80",
    "1.2.3.4",
    "[::1]",
  ];
  for (const text of [...wrong, "a.1", "a.0x1f", "é.example", "a b", `x${longest}`]) {
    assert.throws(() => domain(text), /SANDPIPER_FUNCTION_DOMAIN must be a domain of at most 125/, text);
  }
});

test("hosts of the gateway are names, or any", () => {
  const hosts = (text: string) => loadConfig({ SANDPIPER_GATEWAY_HOSTS: text }).gatewayHosts;
  assert.deepEqual(hosts(" Gateway.internal, other,"), ["gateway.internal", "other"]);
  assert.deepEqual([hosts(""), hosts("*")], [[], ["*"]]);
  for (const text of ["*.example.com", "a.example:80", "http://a", "10.0.0.1"]) {
    assert.throws(() => hosts(text), /SANDPIPER_GATEWAY_HOSTS must be host names/, text);
  }
});

test("the resolver for domains is an address with a port", () => {
  const resolverOf = (text: string) => loadConfig({ SANDPIPER_DOMAIN_RESOLVER: text }).domains.resolver;
  for (const text of ["127.0.0.1:53", "[::1]:5353"]) assert.equal(resolverOf(text), text);
  assert.equal(resolverOf(""), null);
  const wrong = ["127.0.0.1", "::1:53", "[::1]", "dns.example:53", "127.0.0.1:0", "127.0.0.1:99999", "[127.0.0.1]:53"];
  for (const text of wrong) assert.throws(() => resolverOf(text), /SANDPIPER_DOMAIN_RESOLVER/, text);
});
