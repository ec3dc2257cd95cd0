/** The same walls tried from inside, by JavaScript in a sandbox, and in a fork of a template. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { ZygoteLauncher } from "../../sandbox-core/launcher/launcher.ts";
import { openTestLauncher, SandboxClient } from "../helpers/sandbox-client.ts";
import { ATTEMPTS } from "./attempts.ts";

let launcher: ZygoteLauncher;
before(async () => {
  launcher = await openTestLauncher();
});
after(() => launcher.close());

for (const [what, expression, expected] of ATTEMPTS)
  test(what, async () => {
    assert.deepEqual(await SandboxClient.evaluate(launcher, expression), expected);
  });

/** A fork is no process 1, and still sees itself alone: its template is hidden from it. */
const inFork = (expected: unknown) => JSON.parse(JSON.stringify(expected ?? null).replaceAll('"1"', '"2"'));

for (const [what, expression, expected] of ATTEMPTS)
  test(`in a fork of a template: ${what}`, async () => {
    assert.deepEqual(await SandboxClient.evaluateInFork(launcher, expression), inFork(expected));
  });

test("its environment has nothing of the host's", async () => {
  process.env.SANDPIPER_CANARY = "canary-5d1c";
  const seen = (await SandboxClient.evaluate(launcher, "process.env")) as Record<string, string>;
  delete process.env.SANDPIPER_CANARY;
  assert.deepEqual(
    Object.keys(seen).filter((name) => /PATH|USER|CANARY|SHELL/.test(name)),
    [],
  );
});
