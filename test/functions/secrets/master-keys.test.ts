import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { MasterKeyError, MasterKeys } from "../../../functions/secrets/master-keys.ts";
import { newKeyLine } from "../../helpers/master-keys.ts";

describe("a text of master keys", () => {
  it("has them one a line, the first of which seals", () => {
    const [one, other] = [newKeyLine(), randomBytes(32).toString("base64url")];
    const keys = MasterKeys.parse(`# the new one\n${one}\r\n\n  ${other}  \n`);
    assert.equal(keys.ids.length, 2);
    assert.equal(keys.first.id, keys.ids[0]);
    assert.equal(MasterKeys.parse(one).first.id, keys.first.id);
    assert.ok(keys.get(MasterKeys.parse(other).first.id)?.key.equals(MasterKeys.parse(other).first.key));
    assert.match(keys.first.id, /^[0-9a-f]{12}$/);
  });

  it("says which line is no key, and shows nothing of it", () => {
    const lines = [
      "",
      "# nothing",
      newKeyLine().slice(2),
      `${newKeyLine()}AA`,
      randomBytes(32).toString("hex"),
      "password",
      Buffer.alloc(32, "abc").toString("base64"),
      Array.from({ length: 17 }, newKeyLine).join("\n"),
    ];
    for (const text of lines) {
      assert.throws(
        () => MasterKeys.parse(text),
        (error: unknown) => error instanceof MasterKeyError && (text === "" || !error.message.includes(text)),
        text,
      );
    }
    assert.throws(() => MasterKeys.parse(`${newKeyLine()}\nwrong`), /line 2 is no key.*openssl rand -base64 32/);
  });
});
