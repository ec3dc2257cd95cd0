/**
 * Requirements 1, 2, 8 and 9: the host's files, files that may be written, and a /tmp that is full.
 */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import type { ZygoteLauncher } from "../../sandbox-core/launcher/launcher.ts";
import { evaluating, LIMITS, openTestLauncher, SandboxClient } from "../helpers/sandbox-client.ts";

const MEBIBYTE = 1024 * 1024;

let launcher: ZygoteLauncher;
before(async () => {
  launcher = await openTestLauncher();
});
after(() => launcher.close());

describe("(1) the host's files", () => {
  it("are not there, by whichever way", async () => {
    const ways = [
      "",
      "/proc/self/root",
      "/proc/1/root",
      "/proc/self/cwd",
      "/proc/thread-self/root",

      "/tmp/..",
    ];
    const names = readdirSync("/").filter((name) => !["dev", "etc", "proc", "tmp"].includes(name));
    const paths = [
      ...names.map((name) => `/${name}`),
      "/etc/shadow",
      "/etc/ssh",
      "/etc/hostname",
      process.cwd(),
      import.meta.filename,
    ];
    const look = `${JSON.stringify(ways)}.flatMap((way) => ${JSON.stringify(paths)}.map((path) => way + path)).filter((path) => fs.existsSync(path))`;
    assert.ok(paths.length > 10);
    assert.deepEqual(await SandboxClient.evaluate(launcher, look), []);
  });

  it("cannot be opened through what a process knows of itself", async () => {
    const look = `["exe", "mem", "map_files", "root/usr", "task/1/exe", "fd/3", "fd/1"].map((name) => {
      try { const fd = fs.openSync("/proc/self/" + name, "r"); const bytes = Buffer.alloc(4);
        fs.readSync(fd, bytes, 0, 4, 0); return [name, bytes.toString("hex")]; } catch (e) { return e.code; } })`;
    const found = (await SandboxClient.evaluate(launcher, look)) as unknown[];
    // Landlock keeps the program's file closed; where the kernel has none, it can be read, as it is
    // everybody's Node.
    assert.deepEqual(
      found.filter((each) => Array.isArray(each) && !["exe", "task/1/exe"].includes(each[0])),
      [],
    );
  });
});

describe("(2) everything but /tmp", () => {
  const WRITES = [
    `fs.writeFileSync(path + "/x", "")`,
    `fs.mkdirSync(path + "/x")`,
    `fs.symlinkSync("/tmp", path + "/x")`,
    `fs.mkdtempSync(path + "/")`,
    `fs.chmodSync(path, 0o777)`,
    `fs.utimesSync(path, 0, 0)`,
    `fs.renameSync(path, "/tmp/x")`,
    `fs.rmdirSync(path)`,
  ];
  for (const path of ["/", "/etc", "/dev", "/proc", "/proc/self"])
    it(`cannot be written: ${path}`, async () => {
      const tries = WRITES.map(
        (write) => `(() => { try { ${write}; return "done"; } catch (e) { return e.code; } })()`,
      );
      const codes = (await SandboxClient.evaluate(
        launcher,
        `((path) => [${tries.join(", ")}])("${path}")`,
      )) as string[];
      assert.deepEqual(
        codes.filter((code) => !["EROFS", "EBUSY", "EPERM", "EACCES", "EXDEV", "ENOENT", "EINVAL"].includes(code)),
        [],
      );
      assert.equal(codes[0], path.startsWith("/proc") ? codes[0] : "EROFS");
    });

  for (const path of ["/etc/hosts", "/etc/passwd", "/dev/null"])
    it(`cannot be changed: ${path}`, async () => {
      const tries = [
        `fs.truncateSync("${path}")`,
        `fs.unlinkSync("${path}")`,
        `fs.chmodSync("${path}", 0o777)`,
        `fs.chownSync("${path}", 1000, 1000)`,
      ];
      for (const attempt of tries) {
        const { error } = (await SandboxClient.evaluate(launcher, attempt)) as { error: string };
        assert.match(error, /^(EROFS|EPERM|EINVAL|EACCES)$/, attempt);
      }
    });

  it("and /tmp can, for its owner alone, and without programs, devices and other users", async () => {
    const expression = `(() => { fs.writeFileSync("/tmp/x", "#!/bin/sh", { mode: 0o4777 }); /* The write takes the bit of a set-user-ID program away. */ const { uid, mode } = fs.statSync("/tmp/x");
      return [uid, (mode & 0o7777).toString(8), childProcess.spawnSync("/tmp/x").error.code]; })()`;
    assert.deepEqual(await SandboxClient.evaluate(launcher, expression), [1000, "755", "EPERM"]);
  });
});

describe("a full /tmp", () => {
  /** Fills it twice, and empties it in between; gives what was in it each time. */
  const twice = (fill: string) => `(() => { const fill = ${fill};
    const once = () => { let n = 0; try { for (;; n++) fill(n); } catch (e) { if (e.code !== "ENOSPC") throw e; }
      for (const name of fs.readdirSync("/tmp")) fs.unlinkSync("/tmp/" + name); return n; };
    return [once(), once()]; })()`;

  it("(8) by bytes is ENOSPC at its limit, and what was deleted can be written again", async () => {
    const fill = `(n) => { const fd = fs.openSync("/tmp/" + n, "w"); try { const piece = Buffer.alloc(1 << 20);
      let at = 0; while (at < piece.length) at += fs.writeSync(fd, piece, at); } finally { fs.closeSync(fd); } }`;
    const [first, second] = (await SandboxClient.evaluate(launcher, twice(fill))) as number[];
    assert.equal(first, second);
    assert.ok(first !== undefined && first >= LIMITS.tmpBytes / MEBIBYTE - 1 && first <= LIMITS.tmpBytes / MEBIBYTE);
  });

  it("(9) by files is ENOSPC at its limit, and what was deleted can be made again", async () => {
    const [first, second] = (await SandboxClient.evaluate(
      launcher,
      twice(`(n) => fs.writeFileSync("/tmp/" + n, "")`),
    )) as number[];
    assert.equal(first, second);
    assert.ok(first !== undefined && first <= LIMITS.tmpInodes && first > LIMITS.tmpInodes - 10);
  });

  it("(8) is charged to its sandbox: files and memory share one limit, and deleting gives back", async () => {
    const limits = { memoryBytes: 64 * MEBIBYTE, tmpBytes: 256 * MEBIBYTE };
    const round = `for (let n = 0; n < 24; n++) fs.appendFileSync("/tmp/x", piece); fs.unlinkSync("/tmp/x");`;
    // Ten times more than its memory could hold, were it not given back.
    await using steady = await SandboxClient.with(
      launcher,
      evaluating(
        `(() => { const piece = Buffer.alloc(1 << 20, 1); for (let i = 0; i < 10; i++) { ${round} } return "done"; })()`,
      ),
      { limits },
    );
    assert.equal(await steady.text(), '"done"');
    await using greedy = await SandboxClient.with(
      launcher,
      evaluating(`(() => { const piece = Buffer.alloc(1 << 20, 1); for (;;) fs.appendFileSync("/tmp/x", piece); })()`),
      { limits },
    );
    greedy.request();
    const { usage } = await greedy.sandbox.exited;
    assert.ok(usage.oomKills >= 1);
    assert.ok(usage.peakMemoryBytes <= limits.memoryBytes);
  });
});
