/**
 * The transcripts of README.md: each command is run as it stands there, on a Sandpiper of the
 * test's own, and must say what is written, but for names and figures that differ each time.
 */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { after, before, it } from "node:test";
import { SANDPIPER } from "../helpers/cli.ts";
import { Platform } from "../helpers/platform.ts";
import { tempDir } from "../helpers/temp-dir.ts";
import { canonical, runAgain, transcriptOf } from "../helpers/transcript.ts";

const README = readFileSync(resolve(import.meta.dirname, "../../README.md"), "utf8");

let platform: Platform;
before(async () => {
  platform = await Platform.start({ env: { SANDPIPER_GC_INTERVAL_MS: "0" } });
});
after(() => platform.stop());

/** The environment of a user who has `sandpiper` and Node, and is connected to the platform. */
function userOf(home: string): Record<string, string> {
  const bin = join(home, ".bin");
  mkdirSync(bin);
  symlinkSync(SANDPIPER, join(bin, "sandpiper"));
  // On a terminal, curl shows no progress of so short an answer.
  writeFileSync(join(home, ".curlrc"), "silent\nshow-error\n");
  const PATH = [bin, dirname(process.execPath), process.env.PATH].join(":");
  return { PATH, HOME: home, LANG: "C.UTF-8", SANDPIPER_URL: platform.url, SANDPIPER_API_KEY: platform.apiKey };
}

it("say what Sandpiper says", async () => {
  const written = transcriptOf(README);
  const home = tempDir();
  const said = await runAgain(
    written.map(({ command }) => command),
    { cwd: home, env: userOf(home) },
  );
  assert.deepEqual(canonical(said), canonical(written));
});

it("show a first and a failed deployment, a canary, a rollback and a second tenant", () => {
  const commands = transcriptOf(README).map(({ command }) => command);
  for (const word of ["deploy hello", "--canary", "promote", "rollback", "tenant create"]) {
    assert.ok(
      commands.some((command) => command.includes(word)),
      `no command has ${word}`,
    );
  }
});

it("differ by a word, by an id that stands for two things, and by a line, not by ids and figures", () => {
  const of = (output: string) => canonical([{ command: "c", output }]);
  const [one, other] = ["0123456789ab", "ba9876543210"];
  assert.deepEqual(of(`version ${one}, 12 B, ${one}`), of(`version ${other}, 3.5 KiB, ${other}`));
  for (const changed of [`version ${one}, 12 B, ${other}`, `Version ${one}, 12 B, ${one}`, `version ${one}\n`]) {
    assert.notDeepEqual(of(`version ${one}, 12 B, ${one}`), of(changed));
  }
});
