import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { it } from "node:test";
import { ERRORS } from "../../../functions/model/error-table.ts";
import { errorBody, isErrorCode, SandpiperError, statusOf } from "../../../functions/model/errors.ts";

it("has every code in docs/ERRORS.md, with the same words", async () => {
  const text = await readFile(new URL("../../../docs/ERRORS.md", import.meta.url), "utf8");
  const documented = [...text.matchAll(/^\| `([A-Z_]+)` \| (\d{3}) \| (.+) \| (.+) \|$/gm)].map((row) => row.slice(1));
  const known = Object.entries(ERRORS).map(([code, { status, message, fix }]) => [code, String(status), message, fix]);
  assert.deepEqual(documented, known);
});

it("says something whole of every code", () => {
  for (const [code, { status, message, fix }] of Object.entries(ERRORS)) {
    assert.match(code, /^[A-Z]+(_[A-Z]+)*$/);
    assert.ok(status >= 400 && status <= 599, code);
    for (const sentence of [message, fix]) assert.match(sentence, /^[A-Z`].*\.$/, code);
  }
});

it("makes errors that carry code, status, cause and only the message in public", () => {
  const cause = new Error("the disk said so");
  const error = new SandpiperError("INTERNAL", { message: "It broke.", cause, details: { path: "/secret" } });
  assert.deepEqual([error.code, error.status, error.message, error.cause], ["INTERNAL", 500, "It broke.", cause]);
  assert.deepEqual(errorBody(error, "id"), { error: { code: "INTERNAL", message: "It broke.", requestId: "id" } });
  assert.equal(new SandpiperError("TIMEOUT").message, ERRORS.TIMEOUT.message);
});

it("takes no other text for a code", () => {
  for (const text of ["__proto__", "constructor", "timeout", ""]) {
    assert.equal(isErrorCode(text), false);
    assert.equal(statusOf(text), 500);
  }
  assert.equal(statusOf("TIMEOUT"), 504);
});
