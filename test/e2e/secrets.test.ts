/**
 * Secrets and environments of a whole Sandpiper: their values are where they are used, and nowhere
 * else. Everything that it keeps, sends and shows is searched for them.
 */
import assert from "node:assert/strict";
import { hash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Registry } from "../../functions/store/registry.ts";
import { Collector } from "../chaos/collector.ts";
import { eventually } from "../helpers/eventually.ts";
import { newKeyLine } from "../helpers/master-keys.ts";
import { Platform } from "../helpers/platform.ts";
import { tempDir } from "../helpers/temp-dir.ts";
import { TestAuthority } from "../helpers/tls-authority.ts";

/** Values that are nowhere else: of a secret, of a tenant's secret, and of `env`. */
const canary = (kind: string) => `canary-${kind}-${randomBytes(9).toString("hex")}`;
const VALUES = { SECRET: canary("own"), SHARED: canary("shared"), PLAIN: canary("plain") };
const OLD = canary("old");
/** Of a secret that is put into requests, and that the function never has. */
const INJECTED = canary("injected");
const EVERY = [...Object.values(VALUES), INJECTED];

/** An address of loopback that no other test has, as the host is on port 443. */
const ADDRESS = `127.${32 + ((process.pid >> 8) & 31)}.${process.pid & 255}.5`;
const HOST = "api.example.com";
const authority = new TestAuthority();
const received: (string | undefined)[] = [];
const host = createServer(authority.certify(HOST), (request, response) => {
  received.push(request.headers.authorization);
  response.end("paid");
});

/** Text forms of a value in which it could lie about. */
function formsOf(value: string): string[] {
  const bytes = Buffer.from(value);
  const base64 = [0, 1, 2].map((before) =>
    Buffer.concat([Buffer.alloc(before), bytes])
      .toString("base64")
      .slice(4, -4),
  );
  return [value, bytes.toString("hex"), encodeURIComponent(value), ...base64];
}

function assertClean(where: string, bytes: Buffer, values: readonly string[] = EVERY): void {
  for (const form of values.flatMap(formsOf)) assert.ok(!bytes.includes(form), `${where} has ${form}`);
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .map((name) => join(directory, name))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile());
}

const SOURCE = `
  import { hash } from "node:crypto";
  console.log("loaded with", process.env.SECRET, process.env.SHARED);
  export default async (request: Request, env: Record<string, string>) => {
    const path = new URL(request.url).pathname;
    console.log("called with", env.SECRET);
    if (path === "/throw") throw new Error("failed with " + env.SECRET + env.SHARED);
    if (path === "/crash") process.abort();
    if (path === "/exit") { process.stderr.write("ends with " + env.SECRET + "\\n"); process.exit(3); }
    const names = ["SECRET", "SHARED", "PLAIN"].filter((name) => name in env);
    // An answer is the function's own, and goes through Redis.
    return Response.json(Object.fromEntries(names.map((name) => [name, hash("sha256", env[name] ?? "")])));
  };`;

/** Asks a host that something is injected for, by a method of the rule and by another one. */
const PAYING = `
  export default async (request: Request, env: object) => {
    const method = new URL(request.url).pathname === "/refused" ? "DELETE" : "POST";
    const answer = await fetch("https://${HOST}/v1/", { method });
    console.log("paid", env, process.env, [...answer.headers]);
    return new Response(await answer.text());
  };`;

let platform: Platform;
let collector: Collector;
const spans: Buffer[] = [];
const commands: string[] = [];
before(async () => {
  host.listen(443, ADDRESS);
  await once(host, "listening");
  const directory = tempDir();
  chmodSync(directory, 0o755);
  writeFileSync(join(directory, "hosts"), `${ADDRESS} ${HOST}\n`);
  writeFileSync(join(directory, "ca.pem"), authority.certificate);
  collector = await Collector.start();
  collector.onData = (chunk) => void spans.push(chunk);
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_TRACES_SAMPLER: "always_on",
    SANDPIPER_LOG_LEVEL: "debug",
    SANDPIPER_GC_INTERVAL_MS: "0",
    SANDPIPER_EGRESS_HOSTS_FILE: join(directory, "hosts"),
    SANDPIPER_EGRESS_CA_FILE: join(directory, "ca.pem"),
  };
  platform = await Platform.start({ env, keepsLogs: true });
});
after(async () => {
  await platform.stop();
  await collector.close();
  host.closeAllConnections();
  host.close();
});

/** Runs the CLI; gives what it said. */
async function run(args: string[], input?: string): Promise<string> {
  const { code, stdout, stderr } = await platform.cli(args, input === undefined ? {} : { input });
  assert.equal(code, 0, stderr);
  commands.push(stdout, stderr);
  return stdout + stderr;
}

/** A function's URL at the gateway of now. */
function urlNow(url: string): string {
  const { hostname, pathname } = new URL(url);
  return `http://${hostname}:${new URL(platform.url).port}${pathname}`;
}

async function values(url: string): Promise<Record<string, string>> {
  return (await fetch(url)).json() as Promise<Record<string, string>>;
}

/** What the function answers when it has these values. */
function hashed(given: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(given).map(([name, value]) => [name, hash("sha256", value)]));
}

/** Has a secret put into requests: one passes, and one is refused, which logs and spans tell. */
async function pay(): Promise<void> {
  await run(["secret", "set", "STRIPE", "--function", "paying"], `${INJECTED}\n`);
  await run(["egress", "private", "main", "127.0.0.0/8"]);
  const rule = { to: HOST, inject: { authorization: "Bearer {{secrets.STRIPE}}" }, methods: ["POST"] };
  const url = await platform.deployFiles("paying", PAYING, { egress: [rule] });
  const traceparent = `00-${randomBytes(16).toString("hex")}-${randomBytes(8).toString("hex")}-01`;
  assert.equal(await (await fetch(url, { headers: { traceparent } })).text(), "paid");
  assert.deepEqual(received, [`Bearer ${INJECTED}`]);
  assert.match(await (await fetch(`${url}/refused`, { headers: { traceparent } })).text(), /method_refused/);
  await eventually(async () => /method_refused/.test(await run(["logs", "paying", "--json"])));
}

describe("values of secrets and of env", () => {
  it("are where they are used, and nowhere else", async () => {
    // All that Redis is told, as somebody between would see it.
    const told: string[] = [];
    const monitor = await platform.redis.connect().monitor();
    monitor.on("monitor", (_time: string, words: string[]) => void told.push(words.join(" ")));
    await run(["secret", "set", "SECRET", "--function", "holder"], `${VALUES.SECRET}\n`);
    await run(["secret", "set", "SHARED", "--json"], VALUES.SHARED);
    const settings = { env: { PLAIN: VALUES.PLAIN, NODE_ENV: "production" }, secrets: ["SECRET", "SHARED"] };
    const url = await platform.deployFiles("holder", SOURCE, settings);
    const traceparent = `00-${randomBytes(16).toString("hex")}-${randomBytes(8).toString("hex")}-01`;
    assert.deepEqual(await (await fetch(url, { headers: { traceparent } })).json(), hashed(VALUES));
    for (const path of ["/throw", "/crash", "/exit", "/"]) await (await fetch(url + path)).arrayBuffer();
    const event = await platform.api("/v1/functions/holder/events", { method: "POST", body: "{}" });
    assertClean("the answer to an event", Buffer.from(await event.arrayBuffer()));
    await pay();
    for (const words of [
      ["info", "holder"],
      ["info", "holder", "--json"],
      ["list", "--json"],
      ["secret", "list"],
      ["info", "paying", "--json"],
      ["logs", "paying", "--json"],
    ])
      await run(words);
    await eventually(async () => /ends with \[secret\]/.test(await run(["logs", "holder", "--json"])));
    const lines = await run(["logs", "holder"]);
    for (const part of ["loaded with [secret] [secret]", "called with [secret]", "failed with [secret][secret]"]) {
      assert.ok(lines.includes(part), lines);
    }
    for (const path of ["/v1/functions", "/v1/functions/holder", "/v1/secrets", "/v1/functions/holder/logs"]) {
      const answer = await platform.api(path);
      assertClean(path, Buffer.from(await answer.arrayBuffer()));
    }
    assertClean("the command line", Buffer.from(commands.join("\n")));
    assertProcessesClean();
    const redis = platform.redis.connect();
    await redis.save();
    await eventually(() => spans.length > 0 && Buffer.concat(spans).includes("method_refused"));
    monitor.disconnect();
    assert.ok(told.some((words) => words.includes("sp:versions:main:holder")));
    assert.ok(told.some((words) => words.includes("sp:queue:checks")));
    assertClean("what Redis was told", Buffer.from(told.join("\n")));
    const kept = filesBelow(platform.redis.dir);
    assert.ok(kept.some((path) => path.endsWith(".rdb")) && kept.some((path) => path.endsWith(".aof")), kept.join());
    for (const path of kept) assertClean(path, readFileSync(path));
    const artefacts = filesBelow(join(platform.dataDir, "artifacts"));
    assert.ok(artefacts.length >= 3);
    for (const path of artefacts) assertClean(path, readFileSync(path));
    assertClean("exported spans", Buffer.concat(spans));
    const logs = Buffer.from(platform.logs);
    assert.ok(logs.includes("ready to take calls"));
    assertClean("logs of gateway and worker", logs);
  });

  it("that an older Sandpiper left in clear are sealed by the next gateway, and work", async () => {
    const redis = platform.redis.connect();
    const registry = new Registry(redis);
    const url = await platform.deployFiles("older", SOURCE.replace("async", "/* older */ async"));
    const state = await registry.getFunction({ tenant: "main", functionName: "older" });
    assert.ok(state);
    const version = { ...state.version, version: randomBytes(32).toString("hex") };
    await registry.putVersion({ ...version, config: { ...version.config, env: { PLAIN: OLD } } });
    await registry.deployFunction(version);
    await eventually(async () => (await values(url)).PLAIN === hash("sha256", OLD));
    // As that Sandpiper knew no number of the data's form.
    await redis.del("sp:form");
    await platform.roll();
    await eventually(async () => !((await redis.hget("sp:versions:main:older", version.version)) ?? OLD).includes(OLD));
    await eventually(async () => (await redis.info("persistence")).includes("aof_rewrite_in_progress:0"));
    await redis.save();
    for (const path of filesBelow(platform.redis.dir)) assertClean(path, readFileSync(path), [OLD]);
    assert.deepEqual(await values(urlNow(url)), hashed({ PLAIN: OLD }));
  });

  it("outlive their master key, which is exchanged while calls run", async () => {
    const file = join(platform.dataDir, "master-key");
    const old = readFileSync(file, "utf8").trim();
    const fresh = newKeyLine();
    const settings = { env: { PLAIN: VALUES.PLAIN }, secrets: ["SHARED"] };
    const { pathname } = new URL(await platform.deployFiles("rotated", SOURCE, { ...settings, keepPrefix: true }));
    let isOver = false;
    const calling = (async () => {
      for (let calls = 0; !isOver; calls++) {
        // A gateway that ends closes idle connections, and this is no test of who closes first.
        const response = await fetch(platform.url + pathname, { headers: { connection: "close" } });
        const values = hashed({ SHARED: VALUES.SHARED, PLAIN: VALUES.PLAIN });
        assert.deepEqual(await response.json(), values, `call ${calls}`);
      }
    })();
    const rotating = (async () => {
      writeFileSync(file, `${fresh}\n${old}\n`);
      await platform.roll();
      const said = JSON.parse(await run(["secret", "rewrap", "--json"]));
      assert.ok(said.rewrapped >= 1, JSON.stringify(said));
      writeFileSync(file, `${fresh}\n`);
      await platform.roll();
    })().finally(() => {
      isOver = true;
    });
    await Promise.all([calling, rotating]);
    writeFileSync(file, `${old}\n`);
    const refused = /master keys cannot be used: secrets in this Redis are sealed with the master key/;
    await Promise.all([platform.startWorker(), platform.startGateway()].map((start) => assert.rejects(start, refused)));
    writeFileSync(file, `${fresh}\n`);
  });
});

/** Looks at command lines and environments of all processes but this one and its ancestors. */
function assertProcessesClean(): void {
  let count = 0;
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    for (const name of ["cmdline", "environ"]) {
      try {
        const bytes = readFileSync(`/proc/${pid}/${name}`);
        count += 1;
        assertClean(`/proc/${pid}/${name} (${bytes.subarray(0, 80)})`, bytes);
      } catch (error) {
        if (!["ENOENT", "ESRCH", "EACCES"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
      }
    }
  }
  assert.ok(count > 10);
}
