/** `sandpiper completion`, as shells use what it prints. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { it } from "node:test";
import { promisify } from "node:util";
import { cli, SANDPIPER } from "../../helpers/cli.ts";
import { runCommand } from "../../helpers/in-process-cli.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const base = tempDir();
const run = promisify(execFile);
symlinkSync(SANDPIPER, join(base, "sandpiper"));
const env = { PATH: `${base}:${dirname(process.execPath)}:${process.env.PATH}`, HOME: base, TERM: "dumb" };

async function wordsFor(...words: string[]): Promise<string[]> {
  const { code, stdout, stderr } = await runCommand(["__complete", ...words], { cwd: base });
  assert.deepEqual([code, stderr], [0, ""]);
  return stdout.split("\n").flatMap((line) => line.split("\t", 1)[0] || []);
}

it("knows commands, their options, and the values of arguments", async () => {
  assert.deepEqual(await wordsFor("in"), ["init", "invoke", "info"]);
  assert.deepEqual(await wordsFor("help", "comp"), ["completion"]);
  assert.deepEqual(await wordsFor("completion", ""), ["bash", "zsh", "fish"]);
  assert.deepEqual(await wordsFor("deploy", "--no-c"), ["--no-check"]);
  assert.deepEqual(await wordsFor("--url", "http://127.0.0.1:1", "whoa"), ["whoami"]);
});

it("leaves files to the shell, and is silent without a gateway and for nonsense", async () => {
  assert.deepEqual(await wordsFor("deploy", ""), []);
  assert.deepEqual(await wordsFor("deploy", "--api-key-file", ""), []);
  assert.deepEqual(await wordsFor("info", ""), []);
  assert.deepEqual(await wordsFor("no-such-command", ""), await wordsFor(""));
  assert.deepEqual(await wordsFor("--no-such-option", "x", "y\u0000"), []);
});

const SHELLS: [name: string, script: string][] = [
  [
    "bash",
    'eval "$(sandpiper completion bash)"; COMP_LINE="sandpiper who"; COMP_POINT=13; _sandpiper; printf "%s\\n" "$COMPREPLY"',
  ],
  [
    "zsh",
    `compdef() { : }; _describe() { print -l \${(@P)2} }; _files() { : }; eval "$(sandpiper completion zsh)"; words=(sandpiper who); CURRENT=2; _sandpiper | cut -d : -f 1`,
  ],
  ["fish", "sandpiper completion fish | source; complete -C 'sandpiper who' | cut -f 1"],
];
for (const [shell, script] of SHELLS) {
  const isThere = env.PATH.split(":").some((directory) => existsSync(join(directory, shell)));
  it(`completes a line in ${shell}`, { skip: !isThere && `${shell} is not installed` }, async () => {
    const { stdout } = await run(shell, ["-c", script], { env, cwd: mkdtempSync(join(base, "d-")) });
    assert.equal(stdout, "whoami\n");
  });
}

it("names the shells that it knows when asked for another", async () => {
  const { code, stdout, stderr } = await cli(["completion", "tcsh"], { cwd: base });
  assert.deepEqual([code, stdout], [2, ""]);
  assert.match(stderr, /bash, zsh, fish/);
});
