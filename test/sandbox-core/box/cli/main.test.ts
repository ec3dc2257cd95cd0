/**
 * `sandpiper box` as a command: exit codes, streams, signals, reports, a terminal, and other boxes.
 */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { boxCli, endOf, startBoxCli } from "../../../helpers/box-cli.ts";
import { SANDPIPER } from "../../../helpers/cli.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

/** Resolves when the child has written this. */
async function says(child: ChildProcess, text: string): Promise<void> {
  let seen = "";
  for (;;) {
    if (seen.includes(text)) return;
    const [chunk] = await once(child.stdout as NodeJS.ReadableStream, "data");
    seen += chunk;
  }
}

const lastLine = (text: string) => JSON.parse(text.trimEnd().split("\n").at(-1) ?? "");

describe("run", () => {
  test("passes output, errors and exit codes through", async () => {
    const { code, stdout, stderr } = await boxCli(["run", "--", "sh", "-c", "cat; echo bad >&2; exit 3"], {
      input: "in",
    });
    assert.deepEqual([code, stdout, stderr], [3, "in", "bad\n"]);
  });

  test("has the exit codes of its kind for what goes wrong", async () => {
    const codes = await Promise.all(
      [
        ["nonesuch"],
        ["/etc/passwd"],
        ["--memory", "64x", "true"],
        [],
        ["--timeout", "100ms", "sleep", "9"],
        ["sh", "-c", "kill -TERM $$"],
      ].map(async (words) => (await boxCli(["run", ...words])).code),
    );
    assert.deepEqual(codes, [127, 126, 125, 125, 124, 143]);
  });

  test("looks for a user in the root that it is given, and nowhere else", async () => {
    const outside = join(tempDir(), "passwd");
    writeFileSync(outside, "outsider:x:7:7::/:/bin/sh\n");
    const codeFor = async (user: string, make: (etc: string) => void) => {
      const root = tempDir();
      for (const name of ["dev", "etc", "proc", "tmp"]) mkdirSync(join(root, name));
      chmodSync(root, 0o755);
      make(join(root, "etc"));
      return (await boxCli(["run", "--rootfs", root, "--user", user, "nonesuch"])).code;
    };
    const [noUser, noProgram] = [125, 127];
    assert.equal(await codeFor("outsider", (etc) => symlinkSync(outside, join(etc, "passwd"))), noUser);
    assert.equal(
      await codeFor("outsider", (etc) => execFileSync("sh", ["-c", 'mkfifo "$0"', join(etc, "passwd")])),
      noUser,
    );
    const inside = (etc: string) => {
      writeFileSync(join(etc, "users"), "insider:x:7:7::/:/bin/sh\n");
      symlinkSync("/etc/users", join(etc, "passwd"));
    };
    assert.equal(await codeFor("insider", inside), noProgram);
  });

  test("says what is wrong and what to do, as JSON too", async () => {
    const { stderr } = await boxCli(["run", "--memory", "64x", "true"]);
    assert.equal(stderr, 'error: --memory: "64x" is no size\nhint: write a number with b, k, m or g: 64m is 64 MiB\n');
    const json = await boxCli(["run", "--json", "nonesuch"]);
    assert.deepEqual(lastLine(json.stderr).error.exitCode, 127);
  });

  test("reports outcome, use and limits", async () => {
    const report = join(tempDir(), "report.json");
    const words = ["run", "--json", "--report", report, "--memory", "32m", "--pids", "16", "--"];
    const bomb = "head -c 200000000 /dev/zero | tail; exit 0";
    const { stdout, stderr, code } = await boxCli([...words, "sh", "-c", bomb]);
    const told = lastLine(stderr);
    assert.deepEqual([stdout, code, told.outcome, told.exitCode], ["", told.exitCode, "out_of_memory", code]);
    assert.ok(told.usage.oomKills > 0 && told.usage.cpuMs > 0);
    assert.deepEqual([told.limits.memoryBytes, told.limits.pids], [32 << 20, 16]);
    assert.deepEqual(JSON.parse(readFileSync(report, "utf8")), told);
  });

  test("hands on what it is told of its environment, and nothing else", async () => {
    const { stdout } = await boxCli(["run", "-e", "GIVEN", "-e", "SET=x", "-e", "ABSENT", "env"], {
      env: { GIVEN: "g", SECRET: "s" },
    });
    assert.match(stdout, /GIVEN=g\nSET=x\n/);
    assert.doesNotMatch(stdout, /SECRET|ABSENT/);
  });

  test("a signal goes to the command, a second one ends the box", async () => {
    const polite = startBoxCli([
      "run",
      "--",
      "sh",
      "-c",
      "trap 'echo bye; exit 9' TERM; echo up; while :; do sleep 0.1; done",
    ]);
    await says(polite, "up");
    polite.kill("SIGTERM");
    assert.equal((await endOf(polite)).code, 9);
    const deaf = startBoxCli(["run", "--", "sh", "-c", "trap 'echo deaf' TERM; echo up; while :; do sleep 0.1; done"]);
    await says(deaf, "up");
    deaf.kill("SIGTERM");
    await says(deaf, "deaf");
    deaf.kill("SIGTERM");
    assert.equal((await endOf(deaf)).code, 137);
  });

  test("a reader that goes away ends the command", async () => {
    const child = startBoxCli(["run", "--", "yes"]);
    await says(child, "y");
    child.stdout?.destroy();
    const [code] = await once(child, "exit");
    assert.equal(code, 141);
  });

  test("leaves no directory, and no record, when it is killed", async () => {
    const child = startBoxCli(["run", "--", "sh", "-c", `echo up; sleep 1000 ${process.pid % 1000}`]);
    await says(child, "up");
    const [box] = JSON.parse((await boxCli(["ps", "--json"])).stdout).filter(({ argv }: { argv: string[] }) =>
      argv.includes(`echo up; sleep 1000 ${process.pid % 1000}`),
    );
    child.kill("SIGKILL");
    // Its output ends when the last process of the box is gone.
    await once(child.stdout?.resume() as NodeJS.ReadableStream, "end");
    const { stdout } = await boxCli(["ps", "--json"]);
    assert.ok(!stdout.includes(box.id));
    assert.ok(!existsSync(`/run/sandpiper-boxes/${box.id}.json`));
    await boxCli(["run", "true"]);
    assert.ok(!readdirSync("/run").some((name) => name.startsWith(`sandpiper-run-${child.pid}-`)));
  });
});

test("ps, stats and kill know a box that another process runs", async () => {
  const child = startBoxCli([
    "run",
    "--memory",
    "48m",
    "--",
    "sh",
    "-c",
    `trap 'echo usr' USR1; echo up; : ${process.pid}; while :; do sleep 0.05; done`,
  ]);
  await says(child, "up");
  const boxes = JSON.parse((await boxCli(["ps", "--json"])).stdout) as {
    id: string;
    memoryBytes: number;
    argv: string[];
  }[];
  const box = boxes.find(({ argv }) => argv.join(" ").includes(`: ${process.pid};`));
  assert.ok(box);
  assert.match((await boxCli(["ps"])).stdout, new RegExp(`${box.id.slice(0, 12)}.*sh -c trap`));
  const [stats] = JSON.parse((await boxCli(["stats", box.id, "--json"])).stdout);
  assert.ok(stats.memoryBytes > 0 && stats.memoryBytes <= 48 << 20 && stats.tasks >= 2);
  assert.match((await boxCli(["stats"])).stdout, /of 48\.0 MiB/);
  const usr = says(child, "usr");
  assert.equal((await boxCli(["kill", "--signal", "USR1", box.id.slice(0, 10)])).code, 0);
  await usr;
  assert.equal((await boxCli(["kill", box.id])).stdout, `${box.id}\n`);
  assert.equal((await endOf(child)).code, 137);
  const again = await boxCli(["kill", box.id]);
  assert.deepEqual([again.code, /no box/.test(again.stderr)], [2, true]);
});

test("on a terminal: a terminal of the box's own, its size, Ctrl-C, job control, the exit code", async () => {
  // script(1) is a terminal, and what is written to it is typed.
  const command = `stty rows 33 cols 101; exec ${process.execPath} ${SANDPIPER} box run -- bash --norc --noprofile`;
  const child = spawn("script", ["-qec", command, "/dev/null"], { stdio: "pipe", env: { PATH: process.env.PATH } });
  let shown = "";
  child.stdout.on("data", (text: Buffer) => {
    shown += text;
  });
  const type = async (keys: string, until: RegExp) => {
    const from = shown.length;
    child.stdin.write(keys);
    while (!until.test(shown.slice(from))) await once(child.stdout, "data");
  };
  await type("", /\$ /);
  await type("tty; stty size\r", /\/dev\/pts\/0\r\n33 101\r\n/);
  // What it has echoed runs in the terminal's foreground.
  await type("sh -c 'echo sleeping; exec sleep 1000'\r", /\nsleeping\r\n/);
  await type("\x03", /\^C[\s\S]*\$ /);
  await type("echo code $?\r", /code 130\r\n/);
  await type("sleep 1000 & kill %1; wait %1; echo waited $?\r", /waited 143\r\n/);
  child.stdin.write("exit 7\r");
  const [code] = await once(child, "exit");
  assert.equal(code, 7);
});

test("help is there for each command", async () => {
  for (const words of [["--help"], ["run", "--help"], ["ps", "-h"], ["stats", "-h"], ["kill", "-h"], []]) {
    const { code, stdout } = await boxCli(words);
    assert.deepEqual([code, stdout.startsWith("Usage: sandpiper box")], [0, true], words.join(" "));
  }
  assert.equal((await boxCli(["nonesuch"])).code, 2);
});
