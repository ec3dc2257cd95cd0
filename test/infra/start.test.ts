/** That start.mjs ends with npm, however npm ends, and only with npm. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";

const START = new URL("../../infra/start.mjs", import.meta.url).pathname;
const SCRIPT = new URL("./fixtures/started.ts", import.meta.url).pathname;
const BY_NPM = { npm_lifecycle_script: `node infra/start.mjs ${SCRIPT}` };
const COMMAND = `"${process.execPath}" "${START}" "${SCRIPT}"`;

/** What it says, from when it runs on: below a shell, or below one that is below another. */
async function started(t: TestContext, command: string, env: Record<string, string>) {
  // After the command there is something to do, so that the shell does not become it.
  const shell = spawn("sh", ["-c", `${command}; :`], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = createInterface({ input: shell.stdout })[Symbol.asyncIterator]();
  const next = async () => String((await lines.next()).value);
  const start = Number((await next()).split(" ")[1]);
  t.after(() => {
    shell.kill("SIGKILL");
    if (!over) process.kill(start, "SIGKILL");
  });
  let over = false;
  const toldBy = async (most: number) => {
    for (let line = 0; line < most && !over; line += 1) over = (await next()) === "told";
    return over;
  };
  return { shell, start, toldBy };
}

for (const [name, command] of [
  ["npm's shell", COMMAND],
  ["npm, and its shell lives on", `sh -c '${COMMAND}; :'`],
] as const) {
  test(`it ends when somebody kills ${name}`, async (t) => {
    const { shell, toldBy } = await started(t, command, BY_NPM);
    shell.kill("SIGKILL");
    assert.equal(await toldBy(Number.POSITIVE_INFINITY), true);
  });
}

test("it goes on while npm does", async (t) => {
  const { toldBy } = await started(t, COMMAND, BY_NPM);
  assert.equal(await toldBy(8), false);
});

test("without npm it goes on when its parent ends, as in the background", async (t) => {
  const { shell, start, toldBy } = await started(t, COMMAND, {});
  shell.kill("SIGKILL");
  assert.equal(await toldBy(8), false);
  process.kill(start, "SIGTERM");
  assert.equal(await toldBy(Number.POSITIVE_INFINITY), true);
});
