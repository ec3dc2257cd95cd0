/**
 * Boxes as a library: what a command sees, what it may, how it ends, and what its first process
 * does.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { finished } from "node:stream/promises";
import { after, before, describe, test } from "node:test";
import { detectCgroups } from "../../../sandbox-core/cgroup/detect.ts";
import { Box, type BoxRunOptions, SandboxError, StartFailure, Zygote } from "../../../sandbox-core/index.ts";
import { eventually } from "../../helpers/eventually.ts";
import { stretched } from "../../helpers/slowness.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const MIB = 1024 * 1024;

let zygote: Zygote;
before(async () => {
  zygote = await Zygote.open();
});
after(() => zygote.close());

/** What a shell script writes and how it ends, as text. */
async function sh(script: string, options: Partial<BoxRunOptions> = {}) {
  const { stdout, stderr, ...end } = await Box.run(zygote, { argv: ["sh", "-c", script], ...options });
  return { ...end, stdout: stdout.toString(), stderr: stderr.toString() };
}

/** A root of its own: a file system of directories and one program with its libraries. */
function makeRoot(): string {
  const root = mkdtempSync(join(tempDir(), "root-"));
  chmodSync(root, 0o755);
  for (const name of ["dev", "etc", "proc", "tmp", "bin"]) mkdirSync(join(root, name));
  writeFileSync(join(root, "etc/passwd"), "app:x:77:88::/:/bin/sh\n");
  return root;
}

describe("a command", () => {
  test("has the host's programs, and nothing else of the host", async () => {
    const { stdout, outcome } = await sh("ls /; id -u; pwd; hostname; ls /etc | grep -c shadow; ls /sys 2>&1 | wc -l");
    assert.equal(outcome, "ok");
    const lines = stdout.split("\n");
    assert.ok(lines.includes("usr") && !lines.includes("root") && !lines.includes("sys"), stdout);
    assert.deepEqual(lines.slice(-6), ["1000", "/", "sandpiper", "0", "1", ""]);
  });

  test("reads its input, writes to both outputs, and gives its exit code", async () => {
    const end = await sh("tr a-z A-Z; echo err >&2; exit 7", { input: "abc" });
    assert.deepEqual([end.stdout, end.stderr, end.code, end.outcome], ["ABC", "err\n", 7, "error"]);
  });

  test("may open its outputs by name, and writes nowhere but to /tmp", async () => {
    const { stdout, stderr } = await sh("echo a > /dev/stdout; touch /x; touch /usr/x; echo b > /tmp/y && cat /tmp/y");
    assert.equal(stdout, "a\nb\n");
    assert.equal(stderr.match(/Read-only file system/g)?.length, 2);
  });

  test("has the environment that it was given, PATH and HOME", async () => {
    const { stdout } = await Box.run(zygote, { argv: ["env"], env: { A: "1", HOME: "/x" } });
    assert.deepEqual(stdout.toString().trim().split("\n").sort(), [
      "A=1",
      "HOME=/x",
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ]);
  });

  test("believes to be who it is told to be, with no capability", async () => {
    const { stdout } = await sh("id -u; id -g; grep CapBnd /proc/self/status; chown 1 /tmp 2>&1 | wc -l", {
      user: { uid: 0, gid: 5 },
    });
    assert.deepEqual(stdout.trim().split("\n"), ["0", "5", "CapBnd:\t0000000000000000", "1"]);
  });

  test("takes signals as programs do: none is ignored or blocked", async () => {
    const { stdout } = await sh("grep -E 'Sig(Blk|Ign)' /proc/self/status");
    // glibc ignores its two internal ones in what posix_spawn starts.
    assert.match(stdout, /SigBlk:\t0{16}\nSigIgn:\t(0{16}|0{7}180000000)\n/);
    assert.equal((await sh("yes | head -1 >/dev/null; kill -PIPE $$")).signal, "SIGPIPE");
  });

  test("that floods its output ends, and what is kept has a limit", async () => {
    const { stdout, truncated, outcome } = await Box.run(zygote, {
      argv: ["head", "-c", "3000000", "/dev/zero"],
      maxOutputBytes: 100_000,
    });
    assert.deepEqual([stdout.length, truncated, outcome], [100_000, true, "ok"]);
  });
});

describe("the end of a box", () => {
  test("is a timeout after its time", async () => {
    const { outcome, signal } = await sh("trap '' TERM INT; while :; do :; done", { timeoutMs: stretched(300) });
    assert.deepEqual([outcome, signal], ["timeout", "SIGKILL"]);
  });

  test("is out of memory when the kernel killed for want of it, whatever the command made of that", async () => {
    const bomb = "head -c 200000000 /dev/zero | tail > /dev/null; exit 0";
    const { outcome, usage } = await sh(bomb, { limits: { memoryBytes: 32 * MIB } });
    assert.equal(outcome, "out_of_memory");
    assert.ok(usage.oomKills >= 1 && usage.peakMemoryBytes <= 32 * MIB);
  });

  test("is a kill when it was killed, and what was started in it goes along", async () => {
    const box = await Box.start(zygote, { argv: ["sh", "-c", "sleep 1000 & sleep 1000 & echo up; wait"] });
    box.stdout.once("data", () => box.kill());
    assert.equal((await box.ended).outcome, "killed");
    assert.deepEqual(detectCgroups().members(box.group), []);
  });

  test("comes with its command: what it left behind is gone", async () => {
    const { outcome, elapsedMs } = await sh("sleep 1000 >/dev/null 2>&1 & exit 0");
    assert.equal(outcome, "ok");
    assert.ok(elapsedMs < 1_000_000);
  });

  test("is told by a signal of the command's own, and signals reach the command", async () => {
    const box = await Box.start(zygote, {
      argv: ["sh", "-c", "trap 'echo got; exit 5' TERM; echo up; while :; do sleep 0.1; done"],
    });
    let seen = "";
    box.stdout.on("data", (text: Buffer) => {
      seen += text;
      if (seen === "up\n") box.signal("SIGTERM");
    });
    assert.equal((await box.ended).code, 5);
    assert.equal((await sh("kill -SEGV $$")).signal, "SIGSEGV");
  });
});

describe("the first process", () => {
  test("collects orphans, is not seen, and no signal from inside reaches it", async () => {
    const script = `
      for signal in TERM KILL STOP SEGV HUP; do kill -s $signal 1; done 2>/dev/null
      i=0; while [ $i -lt 20 ]; do (sleep 0.01 &); i=$((i+1)); done
      states() { grep -shE '^(Name|State):' /proc/[0-9]*/status; }
      i=0; while states | grep -qE 'sleep$|zombie' && [ $i -lt 500 ]; do i=$((i+1)); done
      states; ls -d /proc/1; echo on`;
    const { stdout, stderr } = await sh(script);
    assert.doesNotMatch(stdout, /zombie/);
    assert.match(stdout, /on\n$/);
    assert.match(stderr, /\/proc\/1.*No such file/);
  });

  test("cannot be outlived", async () => {
    const box = await Box.start(zygote, { argv: ["sleep", "1000"] });
    process.kill(box.pid, "SIGKILL");
    assert.equal((await box.ended).outcome, "killed");
    assert.deepEqual(detectCgroups().members(box.group), []);
  });

  test("ends with its zygote", async () => {
    const other = await Zygote.open();
    const box = await Box.start(other, { argv: ["sleep", "1000"] });
    const zygotePid = Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${box.pid}/status`, "utf8"))?.[1]);
    process.kill(zygotePid, "SIGKILL");
    assert.equal((await box.ended).outcome, "platform_error");
    assert.deepEqual(detectCgroups().members(box.group), []);
    await other.close();
  });

  test("needs little memory", async () => {
    const { usage } = await sh("true");
    assert.ok(usage.peakMemoryBytes < 16 * MIB, String(usage.peakMemoryBytes));
  });
});

describe("roots and binds", () => {
  test("a file that is bound is there, read-only", async () => {
    const file = join(tempDir(), "file");
    writeFileSync(file, "text", { mode: 0o666 });
    const binds = [{ source: file, target: "/data/deep/file" }];
    const { stdout, stderr } = await sh("cat /data/deep/file; echo x > /data/deep/file", { binds });
    assert.equal(stdout, "text");
    assert.match(stderr, /Read-only file system/);
  });

  test("a directory that is bound writable can be written as its mode allows", async () => {
    const directory = mkdtempSync(join(tempDir(), "open-"));
    writeFileSync(join(directory, "open"), "", { mode: 0o666, flag: "w" });
    const binds = [{ source: directory, target: "/data", readOnly: false }];
    const { stderr } = await sh("umask 0; echo x > /data/open; echo x > /data/new", { binds });
    assert.match(stderr, /Permission denied/);
  });

  test("a directory is a root, with the sandbox's own /dev, /proc and /tmp", async () => {
    const root = { directory: makeRoot() };
    const binds = ["/usr", "/bin", "/lib", "/lib64"].map((path) => ({ source: path, target: path }));
    for (const { target } of binds) mkdirSync(join(root.directory, target), { recursive: true });
    const { stdout, stderr } = await sh("ls /; ls /dev; touch /x", { root, binds });
    assert.match(stdout, /etc[\s\S]*null/);
    assert.match(stderr, /Read-only file system/);
  });

  test("a link in a root leads nowhere outside of it", async () => {
    const directory = makeRoot();
    const outside = mkdtempSync(join(tempDir(), "outside-"));
    symlinkSync(outside, join(directory, "trap"));
    const binds = [{ source: "/usr", target: "/trap/usr" }];
    await assert.rejects(sh("true", { root: { directory }, binds }), /\/trap is not there|cannot be made/);
    assert.ok(!existsSync(join(outside, "usr")));
  });

  test("a bare root holds its binds and nothing else", async () => {
    const binds = ["/usr", "/lib64", "/lib"].map((path) => ({ source: path, target: path }));
    const { stdout } = await Box.run(zygote, { argv: ["/usr/bin/ls", "/"], root: "bare", binds });
    assert.deepEqual(stdout.toString().trim().split("\n"), [
      "dev",
      "etc",
      "function",
      "lib",
      "lib64",
      "proc",
      "tmp",
      "usr",
    ]);
  });
});

test("the network is loopback of its own, or the host's when that is asked for", async () => {
  const server = createServer((socket) => socket.end("host"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const run = async (network: "none" | "host") => {
    const argv = ["bash", "-c", `cat < /dev/tcp/127.0.0.1/${port}`];
    const { stdout, stderr } = await Box.run(zygote, { argv, network });
    return stdout.toString() + stderr.toString();
  };
  assert.match(await run("none"), /Connection refused/);
  assert.equal(await run("host"), "host");
  server.close();
});

describe("what cannot be", () => {
  const failing: [string, BoxRunOptions, RegExp, string?][] = [
    ["no such program", { argv: ["nonesuch"] }, /execve\(nonesuch\) failed: ENOENT/, "ENOENT"],
    ["no program", { argv: ["/etc/passwd"] }, /EACCES/, "EACCES"],
    ["no command", { argv: [] }, /needs a command/],
    ["a NUL", { argv: ["echo", "a\0b"] }, /NUL/],
    ["no working directory", { argv: ["true"], workingDirectory: "/none" }, /\/none cannot be entered/, "ENOENT"],
    ["a source that is not there", { argv: ["true"], binds: [{ source: "/none", target: "/x" }] }, /not there/],
    ["a relative target", { argv: ["true"], binds: [{ source: "/usr", target: "x" }] }, /absolute/],
    [
      "a root that nobody may enter",
      { argv: ["true"], root: { directory: mkdtempSync(join(tempDir(), "shut-")) } },
      /chmod o\+x/,
    ],
    ["a root that is none", { argv: ["true"], root: { directory: "/etc/passwd" } }, /no directory/],
  ];
  for (const [name, options, message, code] of failing)
    test(`${name} is a clear failure, and leaves nothing`, async () => {
      const error: unknown = await Box.run(zygote, options).catch((thrown: unknown) => thrown);
      assert.ok(error instanceof SandboxError);
      assert.match(error.message, message);
      assert.equal(error instanceof StartFailure ? error.code : undefined, code);
    });

  test("the program policy leaves out what the command policy has", async () => {
    const script = "mkfifo /tmp/f && echo made";
    assert.equal((await sh(script)).stdout, "made\n");
    assert.match((await sh(script, { policy: "program" })).stderr, /Operation not permitted/);
  });

  test("a zygote for programs launches no JavaScript", async () => {
    await assert.rejects(zygote.launch({ memoryBytes: 1, cpus: 1, pids: 1, tmpBytes: 1, tmpInodes: 1 }), /no runtime/);
  });
});

test("boxes at once do not notice one another", async () => {
  const script = "echo mine > /tmp/file; ls /tmp; ls /proc | grep -cE '^[0-9]+$'; sleep 0.2; cat /tmp/file";
  const ends = await Promise.all(Array.from({ length: 6 }, () => sh(script)));
  for (const { stdout } of ends) assert.match(stdout, /^file\n[1-4]\nmine\n$/);
});

describe("a box with a terminal", () => {
  const terminal = { columns: 80, rows: 24 };
  /** A box whose shell has its terminal raw, and what it showed. */
  async function typist(script: string, options: Partial<BoxRunOptions> = {}) {
    const argv = ["sh", "-c", `stty raw -echo; echo ready; ${script}`];
    const box = await Box.start(zygote, { argv, terminal, ...options });
    const shown = { text: "" };
    box.terminal?.output.on("data", (chunk) => {
      shown.text += chunk;
    });
    await eventually(() => shown.text.includes("ready"));
    return { box, shown };
  }

  test("that reads nothing of what is typed keeps neither its holder nor its deadline waiting", async () => {
    const { box } = await typist("sleep 1000", { timeoutMs: stretched(2_000) });
    // More than a terminal takes, which is 68 KiB.
    box.terminal?.input.write(Buffer.alloc(MIB, "a"));
    assert.equal((await box.ended).outcome, "timeout");
  });

  test("gets all that is typed, however much at once", async () => {
    const { box, shown } = await typist(`head -c ${MIB} | cksum`);
    const typed = Buffer.from(Array.from({ length: MIB }, (_, index) => index % 251));
    box.terminal?.input.write(typed);
    assert.equal((await box.ended).outcome, "ok");
    await finished(box.terminal?.output as Readable).catch(() => undefined);
    assert.match(shown.text, new RegExp(execFileSync("cksum", { input: typed, encoding: "utf8" }).trim()));
  });
});

describe("two boxes", () => {
  test("do not meet in a lock, on programs or on files of their root, and neither does the host", async () => {
    const paths = ["/usr", "/usr/bin/env", "/etc", "/etc/passwd", "/dev", "/dev/null"];
    for (const binds of [{}, { binds: [{ source: tempDir(), target: "/data" }] }]) {
      const open = paths
        .map((path, index) => `exec ${index + 3}<${path}; flock -n ${index + 3} || echo taken;`)
        .join(" ");
      const holder = await Box.start(zygote, { argv: ["sh", "-c", `${open} echo held; cat`], ...binds });
      const [first] = (await once(holder.stdout, "data")) as [Buffer];
      assert.equal(String(first), "held\n");
      assert.equal((await sh(`${open} echo held`, binds)).stdout, "held\n");
      for (const path of ["/usr", "/usr/bin/env"]) execFileSync("flock", ["--nonblock", path, "true"]);
      holder.kill();
      await holder.ended;
    }
  });
});
