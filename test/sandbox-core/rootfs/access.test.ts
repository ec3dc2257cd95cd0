/**
 * Landlock's rules, where nothing else stands in the way: from outside the other walls of a sandbox
 * are taken down one by one, and from inside it is tried what they would have kept.
 */
import assert from "node:assert/strict";
import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import type { ZygoteLauncher } from "../../../sandbox-core/launcher/launcher.ts";
import { landlockWalls } from "../../../sandbox-core/rootfs/access.ts";
import { landlockAbi } from "../../../sandbox-core/syscall/landlock.ts";
import { evaluating, openTestLauncher, SandboxClient } from "../../helpers/sandbox-client.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const run = promisify(execFile);
const CHILD = join(import.meta.dirname, "fixtures/confined-child.ts");
const abi = landlockAbi();
const scoped = abi < 6 && `signals and sockets are bounded from Landlock ABI 6 on, this is ${abi}`;

let launcher: ZygoteLauncher;
before(async () => {
  launcher = await openTestLauncher();
});
after(() => launcher.close());

/** Runs a command in namespaces of a sandbox, with the host's files. */
const enterWords = (pid: number, ...words: string[]) => [`--target=${pid}`, ...words];

/**
 * Mounts a file system that anybody may write to, and start programs from, over a directory of a
 * sandbox.
 */
function openUp(pid: number, directory: string): string {
  const place = join("/proc", String(pid), "root", directory);
  const mount = ["mount", "-c", "-i", "-t", "tmpfs", "-o", "mode=0777", "none", "."];
  execFileSync("nsenter", enterWords(pid, "--mount", "--root=/", `--wd=${place}`, ...mount));
  return place;
}

test("a place that can be written to by all other walls' word is read-only still", async () => {
  const write = `["/etc/x", "/tmp/x"].map((path) => { try { fs.writeFileSync(path, "x"); return "ok" } catch (e) { return e.code } })`;
  await using client = await SandboxClient.with(launcher, evaluating(write));
  openUp(client.sandbox.pid, "etc");
  assert.equal(await client.text(), '["EACCES","ok"]');
});

test("a program that was not bound to be started is not started", async () => {
  const exec = await openTestLauncher({ kind: "exec" });
  const start = `["/etc/true", "/sandpiper/bin/node"].map((path) => childProcess.spawnSync(path, ["-v"]).error?.code ?? "ok")`;
  const limits = { memoryBytes: 256 << 20 };
  const client = await SandboxClient.with(exec, evaluating(start), { limits });
  copyFileSync("/bin/true", join(openUp(client.sandbox.pid, "etc"), "true"));
  assert.equal(await client.text(), '["EACCES","ok"]');
  await exec.close();
});

test("an abstract socket of somebody else in its network namespace is out of reach", { skip: scoped }, async () => {
  const connect = `Promise.all(["outside", "inside"].map(async (name) => {
    if (name === "inside") await once(net.createServer().listen("\\0inside"), "listening");
    return once(net.connect("\\0" + name), "connect").then(() => "ok", (error) => error.code);
  }))`;
  await using client = await SandboxClient.with(launcher, evaluating(connect));
  const listen = `require("net").createServer().listen("\\0outside", () => console.log("ready"))`;
  const words = enterWords(client.sandbox.pid, "--net", process.execPath, "-e", listen);
  const server = spawn("nsenter", words, { stdio: ["ignore", "pipe", "inherit"] });
  await once(server.stdout, "data");
  assert.equal(await client.text(), '["EPERM","ok"]');
  server.kill();
  await once(server, "exit");
});

test("a process of its own user, in its pid namespace, that it did not start gets no signal", {
  skip: scoped,
}, async () => {
  await using client = await SandboxClient.with(launcher, evaluating("process.kill(2, 0)"));
  const { pid, hostUid } = client.sandbox;
  const user = ["setpriv", `--reuid=${hostUid}`, `--regid=${hostUid}`, "--clear-groups"];
  const stranger = spawn("nsenter", enterWords(pid, "--pid", ...user, "sh", "-c", "echo $$; exec sleep 60"), {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [inside] = await once(stranger.stdout, "data");
  assert.equal(String(inside).trim(), "2");
  assert.equal(await client.text(), '{"error":"EPERM"}');
  stranger.kill("SIGKILL");
});

/**
 * Who is connected to, signalled and written to by a process that confined itself as under an older
 * Landlock.
 */
async function confinedUnder(version: number): Promise<Record<string, string>> {
  const outside = mkdtempSync("/run/sp-access-");
  const name = `sp-access-${process.pid}-${version}`;
  const server = createServer((socket) => socket.destroy()).listen(`\0${name}`);
  await once(server, "listening");
  try {
    writeFileSync(join(outside, "file"), "x");
    const { stdout } = await run(process.execPath, [CHILD, String(version), join(outside, "file"), tempDir(), name]);
    return JSON.parse(stdout);
  } finally {
    rmSync(outside, { recursive: true });
    server.close();
  }
}

test("every version of Landlock takes what it knows, and no less stands under an older one than it can do", async () => {
  for (let version = 0; version <= abi; version++)
    assert.deepEqual(
      await confinedUnder(version),
      {
        read: "ok",
        write: version < 1 ? "ok" : "EACCES",
        truncate: version < 3 ? "ok" : "EACCES",
        writeBelow: "ok",
        // The first version allows no link between directories at all.
        moveBelow: version === 1 ? "EXDEV" : "ok",
        null: "ok",
        signal: version < 6 ? "ok" : "EPERM",
        connect: version < 6 ? "ok" : "EPERM",
      },
      `ABI ${version}`,
    );
});

test("what it takes can be said", () => {
  assert.deepEqual(landlockWalls(0), []);
  assert.deepEqual(landlockWalls(2), ["files and directories", "links and renames between directories"]);
  assert.ok(landlockWalls(7).includes("signals and abstract unix sockets"));
});
