/** Functions with the usual clients, against real servers that they reach by declared names. */
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:https";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { Platform } from "../helpers/platform.ts";
import { stretched } from "../helpers/slowness.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const POSTGRES = "/usr/lib/postgresql/15/bin";
/** Nobody: Postgres does not run as root. */
const UID = 65_534;
/** An address of loopback that no other test has, for servers on well-known ports. */
const ADDRESS = `127.${(process.pid >> 16) & 255}.${(process.pid >> 8) & 255}.${process.pid & 255 || 1}`;
const NAMES = ["api.example.com", "cache.example.com", "db.example.com"];

const directory = mkdtempSync(join(tmpdir(), "sp-egress-"));
const cleanups: (() => unknown)[] = [];
let platform: Platform;

before(async () => {
  // The relay is a user of its own.
  chmodSync(directory, 0o755);
  const hosts = join(directory, "hosts");
  writeFileSync(hosts, `${ADDRESS} ${NAMES.join(" ")}\n`);
  platform = await Platform.start({ env: { SANDPIPER_EGRESS_HOSTS_FILE: hosts } });
  symlinkSync(join(ROOT, "node_modules"), join(platform.dataDir, "node_modules"));
  const { code, stderr } = await platform.cli(["egress", "private", "main", "127.0.0.0/8"]);
  assert.equal(code, 0, stderr);
});
after(async () => {
  for (const clean of cleanups.reverse()) await clean();
  await platform.stop();
});

/** A port of the tests' own address that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, ADDRESS);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** A program that serves until the tests are over, once something accepts connections at a port. */
async function serve(program: string, args: string[], uid: number | undefined, port: number): Promise<void> {
  const child = spawn(program, args, {
    stdio: ["ignore", "ignore", "pipe"],
    ...(uid !== undefined && { uid, gid: uid }),
  });
  let words = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    words += text;
  });
  cleanups.push(async () => {
    child.kill("SIGINT");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  });
  for (;;) {
    if (child.exitCode !== null) throw new Error(`${program} ended: ${words}`);
    if (spawnSync("bash", ["-c", `exec 3<>/dev/tcp/${ADDRESS}/${port}`], { stdio: "ignore" }).status === 0) return;
  }
}

describe("an API over https", () => {
  /** Valid for its name, for a day. */
  function certificate(): { key: Buffer; cert: Buffer } {
    const [key, cert] = [join(directory, "key.pem"), join(directory, "cert.pem")];
    const [name = ""] = NAMES;
    const subject = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`];
    const request = [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      "-nodes",
      "-days",
      "1",
    ];
    execFileSync("openssl", [...request, ...subject, "-keyout", key, "-out", cert], { stdio: "ignore" });
    return { key: readFileSync(key), cert: readFileSync(cert) };
  }

  it("is called with TLS of the function's own, and each connection is in the trace", async () => {
    const tls = certificate();
    const server = createServer(tls, (request, response) => response.end(`paid by ${request.headers["x-user"]}`));
    server.listen(443, ADDRESS);
    await once(server, "listening");
    cleanups.push(() => void server.close());
    const code = `import { Agent, get } from "node:https";
import { text } from "node:stream/consumers";
export default (request, env) => new Promise((resolve, reject) => {
  const agent = new Agent({ keepAlive: false, ca: env.CA });
  get("https://api.example.com/charge", { agent, headers: { "x-user": "Ada" } }, (answer) => resolve(text(answer))).on("error", reject);
});`;
    const config = { egress: ["api.example.com"], env: { CA: String(tls.cert) }, timeoutMs: stretched(10_000) };
    await platform.deployFiles("pay", code, config);
    const { code: exit, stdout, stderr } = await platform.cli(["invoke", "pay", "--trace"]);
    assert.equal(exit, 0, stderr);
    assert.equal(stdout, "paid by Ada");
    // Word of its end may come after the call's.
    const row = /host=api\.example\.com port=443 verdict=(?:ok|kept) up=\d+ down=\d+ address=127\./;
    assert.match(stderr, row);
  });

  it("that is not declared is named in the log, with what to declare", async () => {
    const code = `export default async () => {
  try { await fetch("https://undeclared.example.com/"); } catch (error) { return error.cause.code; }
};`;
    await platform.deployFiles("curious", code, { egress: ["api.example.com"] });
    const { stdout, stderr } = await platform.cli(["invoke", "curious", "--logs", "--trace"]);
    assert.equal(stdout, "ENOTFOUND");
    assert.match(stderr, /undeclared\.example\.com was not reached.*add "undeclared\.example\.com" to "egress"/);
    assert.match(stderr, /verdict=undeclared_name/);
  });
});

describe("Redis", () => {
  it("is used through ioredis", async () => {
    const port = await freePort();
    await serve(
      "redis-server",
      ["--port", String(port), "--bind", ADDRESS, "--save", "", "--dir", directory],
      undefined,
      port,
    );
    const code = `import { Redis } from "ioredis";
const redis = new Redis({ host: "cache.example.com", port: ${port} });
export default async () => ({ visits: await redis.incr("visits") });`;
    const url = await platform.deployFiles("visits", code, { egress: [`cache.example.com:${port}`] });
    for (const visits of [1, 2, 3]) assert.deepEqual(await (await fetch(url)).json(), { visits });
  });
});

describe("Postgres", { skip: !existsSync(POSTGRES) && "there is no Postgres" }, () => {
  it("is used through pg", async () => {
    const [data, port] = [join(directory, "postgres"), await freePort()];
    mkdirSync(data, { mode: 0o700 });
    chownSync(data, UID, UID);
    const own = { stdio: "ignore", uid: UID, gid: UID, cwd: "/" } as const;
    execFileSync(`${POSTGRES}/initdb`, ["-D", data, "-A", "trust", "-U", "shop", "--no-sync"], own);
    const settings = ["-c", `listen_addresses=${ADDRESS}`, "-c", "unix_socket_directories=", "-c", "fsync=off"];
    await serve(`${POSTGRES}/postgres`, ["-D", data, "-p", String(port), ...settings], UID, port);
    const code = `import pg from "pg";
const pool = new pg.Pool({ host: "db.example.com", port: ${port}, user: "shop", database: "postgres" });
export default async () => {
  const { rows } = await pool.query("select $1::int + 1 as answer, version() like 'PostgreSQL%' as real", [41]);
  return rows[0];
};`;
    const config = { egress: [`db.example.com:${port}`], timeoutMs: stretched(10_000) };
    const url = await platform.deployFiles("orders", code, config);
    for (let call = 0; call < 3; call++) assert.deepEqual(await (await fetch(url)).json(), { answer: 42, real: true });
  });
});
