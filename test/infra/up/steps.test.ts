import assert from "node:assert/strict";
import { test } from "node:test";
import { Interrupted } from "../../../infra/up/failure.ts";
import { createSteps } from "../../../infra/up/steps.ts";

function capture(isTTY: boolean) {
  let text = "";
  const steps = createSteps({ isTTY, write: (chunk) => (text += chunk) }, true);
  return { steps, text: () => text.replace(/\(\d+\.\d\d s\)/g, "(0 s)") };
}

test("piped: one plain line a step, no control characters", async () => {
  const { steps, text } = capture(false);
  await steps.run("Start", async () => steps.note("by the way"));
  await steps.run(
    "Answer",
    async () => 42,
    (value) => String(value),
  );
  await assert.rejects(steps.run("Break", () => Promise.reject(new Error("no"))));
  await assert.rejects(steps.run("Wait", () => Promise.reject(new Interrupted())));
  assert.equal(text(), "  by the way\n  ok Start (0 s)\n  ok Answer: 42 (0 s)\n  FAILED Break\n  stopped Wait\n");
});

test("on a terminal: the line of a running step is replaced, and a note does not tear it", async () => {
  const { steps, text } = capture(true);
  await steps.run("Start", async () => steps.note("by the way"));
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are not what this is about.
  const plain = text().replace(/\u001b\[\d+m/g, "");
  assert.equal(plain, "  … Start\r\u001b[K  by the way\n  … Start\r\u001b[K  ✔ Start (0 s)\n");
});
