import assert from "node:assert/strict";
import { type ChildProcess, type ForkOptions, fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, it } from "node:test";
import type { Redis } from "ioredis";
import { DATA_FORM } from "../../functions/store/form/form-steps.ts";
import { Registry } from "../../functions/store/registry.ts";
import { createKey } from "../../functions/store/tenant.ts";
import { InvocationWorker } from "../../functions/transport/invocation-queue.ts";
import { ReplySender } from "../../functions/transport/reply-sender.ts";
import { EXIT_CONFIG } from "../../infra/service.ts";
import { eventually } from "../helpers/eventually.ts";
import { head } from "../helpers/gateway.ts";
import { newKeyLine } from "../helpers/master-keys.ts";
import { startRedis, type TestRedis } from "../helpers/redis.ts";

let redis: TestRedis;
let connection: Redis;
let dir: string;
const processes: ChildProcess[] = [];
before(async () => {
  redis = await startRedis();
  connection = redis.connect();
  dir = await mkdtemp(join(tmpdir(), "sp-gateway-"));
});
after(async () => {
  await redis.stop();
  await rm(dir, { recursive: true, force: true });
});
afterEach(() => {
  for (const process of processes.splice(0)) process.kill("SIGKILL");
});

const SETTINGS = { SANDPIPER_PORT: "0", SANDPIPER_LEAVE_MS: "0", SANDPIPER_MASTER_KEY: newKeyLine() };

/** @param run how it is started, other than as a program of this Node. */
function start(env: Record<string, string> = {}, run: Pick<ForkOptions, "execPath" | "execArgv"> = {}): ChildProcess {
  const main = new URL("../../gateway/main.ts", import.meta.url).pathname;
  const started = fork(main, [], {
    ...run,
    env: { PATH: process.env.PATH, REDIS_URL: redis.url, SANDPIPER_DATA_DIR: dir, ...SETTINGS, ...env },
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  processes.push(started);
  return started;
}

async function ready(gateway: ChildProcess): Promise<string> {
  const [message] = await once(gateway, "message");
  assert.equal(message.type, "ready", JSON.stringify(message));
  return message.facts.url;
}

it("registers the key that it was given, at every start, and that key alone", async () => {
  const key = `sp_${randomBytes(6).toString("hex")}_${randomBytes(32).toString("base64url")}`;
  const file = join(dir, "api-key");
  await writeFile(file, `${key}\n`);
  const env = { SANDPIPER_BOOTSTRAP_KEY_FILE: file };
  await ready(start(env));
  const url = await ready(start(env));
  const whoami = (used: string) => fetch(`${url}/v1/whoami`, { headers: { authorization: `Bearer ${used}` } });
  const keyId = key.split("_")[1];
  const known = await (await whoami(key)).json();
  const whole = { scopes: ["admin"], functions: null, expiresAt: null };
  assert.deepEqual(known, { tenant: "main", keyId, publicUrl: url, operator: true, ...whole });
  assert.equal((await whoami(`${key.slice(0, 16)}_${randomBytes(32).toString("base64url")}`)).status, 401);
});

it("starts with the key that it knows on a Redis that takes no writes, and says why it is not ready", async (t) => {
  const file = join(dir, "api-key-again");
  await writeFile(file, `sp_${randomBytes(6).toString("hex")}_${randomBytes(32).toString("base64url")}\n`);
  const env = { SANDPIPER_BOOTSTRAP_KEY_FILE: file };
  await ready(start(env));
  await connection.config("SET", "maxmemory", "1");
  t.after(() => connection.config("SET", "maxmemory", "0"));
  const response = await fetch(`${await ready(start(env))}/readyz`);
  const { reason } = (await response.json()) as { reason: string };
  assert.match(reason, /refuses to write: its memory is full/);
});

it("ends with the code for what starting again does not mend on the data of a newer Sandpiper", async (t) => {
  await connection.set("sp:form", DATA_FORM + 1);
  t.after(() => connection.set("sp:form", DATA_FORM));
  const gateway = start();
  const [[message], [exitCode]] = await Promise.all([once(gateway, "message"), once(gateway, "exit")]);
  const { type, code, isFinal, message: said } = message;
  assert.deepEqual([type, code, isFinal, exitCode], ["failed", "DATA_TOO_NEW", true, EXIT_CONFIG]);
  assert.match(said, /as a newer Sandpiper left it, and this one knows forms up to/);
});

it("that runs changes nothing more when a newer Sandpiper has moved the data, and shows it", async (t) => {
  const url = await ready(start());
  const { key } = await createKey(connection, "main");
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const set = async () => {
    const init = { method: "PUT", headers, body: JSON.stringify({ value: "v" }) };
    const response = await fetch(`${url}/v1/secrets/NAME`, init);
    return [response.status, ((await response.json()) as { error?: { code: string } }).error?.code];
  };
  assert.deepEqual(await set(), [200, undefined]);
  await connection.set("sp:form", DATA_FORM + 1);
  t.after(() => connection.set("sp:form", DATA_FORM));
  assert.deepEqual(await set(), [503, "DATA_TOO_NEW"]);
  assert.equal((await fetch(`${url}/v1/secrets`, { headers })).status, 200);
});

it("keeps descriptors for itself, however many connections its clients open", async (t) => {
  const limit = 100;
  const execArgv = [`--nofile=${limit}:${limit}`, process.execPath];
  const gateway = start({ SANDPIPER_GATEWAY_METRICS: "off" }, { execPath: "prlimit", execArgv });
  const { hostname, port } = new URL(await ready(gateway));
  const sockets = Array.from({ length: 150 }, () => connect(Number(port), hostname).on("error", () => {}));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  for (const socket of sockets) socket.resume();
  const open = () => sockets.filter(({ destroyed }) => !destroyed);
  await eventually(() => open().length === limit / 2);
  assert.ok((await readdir(`/proc/${gateway.pid}/fd`)).length < limit - 10);
  const [served] = open();
  served?.write("GET /healthz HTTP/1.1\r\nhost: here\r\n\r\n");
  const [answer] = await once(served as Socket, "data");
  assert.match(String(answer), /^HTTP\/1\.1 200 /);
});

it("lets a call in flight end when it is told to stop, and takes no more", async () => {
  const version = {
    tenant: "main",
    functionName: "hello",
    version: "a".repeat(64),
    config: {
      name: "hello",
      entry: "index.ts",
      memoryMiB: 128 as const,
      isolation: "instance" as const,
      timeoutMs: 1_000,
      env: {},
    },
    entry: "index.ts",
    files: [],
    bundle: "",
    sourceMap: "",
    bundleBytes: 0,
    createdAtMs: 0,
  };
  const registry = new Registry(connection);
  await registry.putVersion(version);
  await registry.deployFunction(version);
  const taken = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const sender = new ReplySender(connection);
  const worker = new InvocationWorker(connection, {
    freeSlots: () => 10,
    async run({ replyTo, id }) {
      taken.resolve();
      await release.promise;
      sender.send(replyTo, head(id, { body: Buffer.from("to the end") }));
    },
    async lost() {},
  });
  worker.start();
  const gateway = start();
  const url = await ready(gateway);
  const answer = fetch(`${url}/fn/main/hello`);
  await taken.promise;
  gateway.kill("SIGTERM");
  while ((await fetch(`${url}/healthz`).catch(() => null)) !== null);
  const ended = once(gateway, "exit");
  release.resolve();
  assert.equal(await (await answer).text(), "to the end");
  assert.deepEqual(await ended, [0, null]);
  await worker.close();
});

it("says that it is not ready, and serves on for a moment, before it ends", async () => {
  const gateway = start({ SANDPIPER_LEAVE_MS: "600000" });
  const url = await ready(gateway);
  const first = await fetch(`${url}/readyz`);
  assert.equal(first.headers.get("connection"), "keep-alive");
  await first.text();
  gateway.kill("SIGTERM");
  let answer: Response;
  let reason: unknown;
  do {
    answer = await fetch(`${url}/readyz`);
    ({ reason } = (await answer.json()) as { reason?: string });
  } while (reason !== "This gateway is shutting down.");
  assert.deepEqual([answer.status, answer.headers.get("connection")], [503, "close"]);
  // A new connection, and a call that gets the answer that it would have got before.
  const served = await fetch(`${url}/fn/main/nobody`);
  const { error } = (await served.json()) as { error: { code: string } };
  assert.deepEqual([served.status, error.code, served.headers.get("connection")], [404, "FUNCTION_NOT_FOUND", "close"]);
  const ended = once(gateway, "exit");
  gateway.kill("SIGTERM");
  await ended;
});

it("ends when whoever started it is gone", async () => {
  const gateway = start();
  await ready(gateway);
  const ended = once(gateway, "exit");
  gateway.disconnect();
  const [code] = await ended;
  assert.equal(typeof code, "number");
});

it("says why it cannot start", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const { port } = taken.address() as { port: number };
  const gateway = start({ SANDPIPER_PORT: String(port) });
  const ended = once(gateway, "exit");
  const [message] = await once(gateway, "message");
  assert.deepEqual([message.type, message.code], ["failed", "EADDRINUSE"]);
  assert.deepEqual(await ended, [1, null]);
  taken.close();
});
