/** Caddy on loopback, by the Caddyfile of docs/DEPLOYMENT.md, with an authority of its own. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { eventually } from "../helpers/eventually.ts";

const run = promisify(execFile);
const DOCUMENT = new URL("../../docs/DEPLOYMENT.md", import.meta.url);
/** Ports that were free a moment ago may not be any more. */
const MOST_ATTEMPTS = 5;

export interface Caddy {
  /** The port of https. */
  port: number;
  /** The authority of its certificates, in PEM. */
  ca: string;
  stop(): Promise<void>;
}

/** The program that is installed, or that an earlier run left in the cache; null: neither. */
export function findCaddy(path: string, cache?: string): string | null {
  const places = [...path.split(":"), ...(cache === undefined ? [] : [join(cache, "usr/bin")])];
  return places.map((place) => join(place, "caddy")).find(existsSync) ?? null;
}

/** Debian's package, unpacked into the cache and not installed: it would start a service. */
export async function fetchCaddy(cache: string): Promise<string> {
  await mkdir(cache, { recursive: true });
  await run("apt-get", ["download", "caddy"], { cwd: cache });
  const file = (await readdir(cache)).find((name) => name.endsWith(".deb"));
  await run("dpkg", ["-x", join(cache, file ?? ""), cache]);
  return join(cache, "usr/bin/caddy");
}

/**
 * Starts Caddy before a gateway that listens at that port.
 * @param directory an empty one, which Caddy may fill
 */
export async function startCaddy(program: string, directory: string, gatewayPort: number): Promise<Caddy> {
  for (let attempt = 1; ; attempt++) {
    const [http, https] = await Promise.all([freePort(), freePort()]);
    const file = join(directory, "Caddyfile");
    await writeFile(file, await caddyfile({ http, https, gateway: gatewayPort, storage: directory }));
    const child = spawn(program, ["run", "--config", file], {
      env: { HOME: directory, XDG_DATA_HOME: directory, XDG_CONFIG_HOME: directory },
      stdio: ["ignore", "ignore", "pipe"],
    });
    const said = text(child.stderr);
    const root = join(directory, "pki/authorities/local/root.crt");
    if (await isUp(child, https, root)) {
      return { port: https, ca: await readFile(root, "utf8"), stop: () => stop(child) };
    }
    await rm(join(directory, "pki"), { recursive: true, force: true });
    if (attempt === MOST_ATTEMPTS || !/address already in use/.test(await said)) throw new Error(await said);
  }
}

/** The Caddyfile of the document, with ports and a place of its own, and no authority outside. */
async function caddyfile(to: { http: number; https: number; gateway: number; storage: string }): Promise<string> {
  const [, block] = /```caddyfile\n(.*?)```/s.exec(await readFile(DOCUMENT, "utf8")) ?? [];
  if (block === undefined) throw new Error("docs/DEPLOYMENT.md has no Caddyfile");
  const own = ["admin off", `http_port ${to.http}`, `https_port ${to.https}`, "skip_install_trust", "local_certs"];
  return block
    .replace("{\n", `{\n\t${[...own, `storage file_system ${to.storage}`, "default_bind 127.0.0.1"].join("\n\t")}\n`)
    .replaceAll("127.0.0.1:8787", `127.0.0.1:${to.gateway}`);
}

/** Resolves when Caddy takes connections, or has ended. */
async function isUp(child: ChildProcess, port: number, root: string): Promise<boolean> {
  await eventually(async () => child.exitCode !== null || (existsSync(root) && (await isTaken(port))));
  return child.exitCode === null;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Whether somebody takes connections there. */
async function isTaken(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  const [event] = await Promise.race([
    once(socket, "connect").then(() => ["connect"]),
    once(socket, "close").then(() => ["close"]),
  ]).catch(() => ["error"]);
  socket.destroy();
  return event === "connect";
}
