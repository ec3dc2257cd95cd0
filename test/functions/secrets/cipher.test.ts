import assert from "node:assert/strict";
import { createSecretKey, randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { type Key, keyIdOf, SealError, seal, unseal } from "../../../functions/secrets/cipher.ts";

const newKey = (id = "0123456789ab"): Key => ({ id, key: createSecretKey(randomBytes(32)) });
const ABOUT = ["secret", "main", "hello", "NAME", 3];

describe("a sealed text", () => {
  it("opens with its key and its facts, and names the key", () => {
    const key = newKey();
    for (const text of ["", "x", "line\nline", "ü".repeat(10_000)]) {
      const sealed = seal(key, Buffer.from(text), ABOUT);
      assert.equal(unseal(key, sealed, ABOUT).toString(), text);
      assert.equal(keyIdOf(sealed), key.id);
      if (text.length > 3) assert.ok(!sealed.includes(text));
    }
    assert.notEqual(seal(key, Buffer.from("x"), ABOUT), seal(key, Buffer.from("x"), ABOUT));
  });

  it("opens with no other key, of the same name either", () => {
    const sealed = seal(newKey(), Buffer.from("value"), ABOUT);
    assert.throws(() => unseal(newKey(), sealed, ABOUT), SealError);
    assert.throws(() => unseal(newKey("ba9876543210"), sealed, ABOUT), /was sealed with the key 0123456789ab/);
  });

  it("opens about nothing else", () => {
    const key = newKey();
    const sealed = seal(key, Buffer.from("value"), ABOUT);
    const others = [
      ["env", "main", "hello", "NAME", 3],
      ["secret", "other", "hello", "NAME", 3],
      ["secret", "main", "other", "NAME", 3],
      ["secret", "main", null, "NAME", 3],
      ["secret", "main", "hello", "OTHER", 3],
      ["secret", "main", "hello", "NAME", 2],
      ["secret", "main", "hello", "NAME", "3"],
      ["secret", "main", "hello,NAME", 3],
      ["secret", "main", "hello", "NAME"],
    ];
    for (const about of others) assert.throws(() => unseal(key, sealed, about), SealError, JSON.stringify(about));
  });

  it("opens in no changed form", () => {
    const key = newKey();
    const sealed = seal(key, Buffer.from("a value of some length"), ABOUT);
    const at = sealed.lastIndexOf(".") + 1;
    for (let length = 0; length < sealed.length; length++) {
      assert.throws(() => unseal(key, sealed.slice(0, length), ABOUT), SealError, `cut to ${length}`);
    }
    for (let index = at; index < sealed.length - 1; index++) {
      const other = sealed[index] === "A" ? "B" : "A";
      const changed = sealed.slice(0, index) + other + sealed.slice(index + 1);
      assert.throws(() => unseal(key, changed, ABOUT), SealError, `changed at ${index}`);
    }
    for (const text of ["", "sp1..", `sp2${sealed.slice(3)}`, `${sealed}=`, ` ${sealed}`, "value"]) {
      assert.throws(() => unseal(key, text, ABOUT), SealError, text);
    }
  });

  it("and its key show nothing of themselves in errors and logs", () => {
    const bytes = randomBytes(32);
    const key = { id: "0123456789ab", key: createSecretKey(bytes) };
    const shown = inspect(key, { depth: 9, showHidden: true }) + JSON.stringify(key);
    for (const encoding of ["hex", "base64", "latin1"] as const) assert.ok(!shown.includes(bytes.toString(encoding)));
  });
});
