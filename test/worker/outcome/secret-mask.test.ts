import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { MASK, SecretMask } from "../../../worker/outcome/secret-mask.ts";

const VALUE = "s3cret-välue/with+signs";
const PEM = `-----BEGIN KEY-----\n${"MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n"}-----END KEY-----\n`;

function masked(text: string, ...values: string[]): string {
  const mask = SecretMask.of(values);
  assert.ok(mask);
  return mask.apply(text);
}

describe("a mask of secrets", () => {
  it("takes each value out of a text, and leaves the rest", () => {
    assert.equal(masked(`a ${VALUE} b ${VALUE}`, VALUE), `a ${MASK} b ${MASK}`);
    assert.equal(masked(VALUE, VALUE), MASK);
    assert.equal(masked(`${VALUE}${VALUE}`, VALUE), MASK + MASK);
    assert.equal(masked("nothing of it: s3cret-val", VALUE), "nothing of it: s3cret-val");
    assert.equal(masked("", VALUE), "");
    assert.equal(masked("one-value two-value", "one-value", "two-value"), `${MASK} ${MASK}`);
  });

  it("takes the longest of values that begin alike", () => {
    assert.equal(masked("prefix-longer", "prefix", "prefix-longer"), MASK);
    assert.equal(masked("prefix-long", "prefix", "prefix-longer"), `${MASK}-long`);
  });

  it("knows lines of a value, and its forms in JSON, URLs and inspect", () => {
    for (const line of PEM.trim().split("\n")) assert.equal(masked(`x ${line} y`, PEM), `x ${MASK} y`);
    const texts = [JSON.stringify({ key: PEM }), `?key=${encodeURIComponent(PEM)}`, inspect({ key: PEM })];
    for (const text of texts) {
      const left = masked(text, PEM);
      assert.ok(left.includes(MASK) && !left.includes("MIIEvQ") && !left.includes("BKcwgg"), left);
    }
    assert.equal(masked(`{"a":${JSON.stringify('quo"ted value')}}`, 'quo"ted value'), `{"a":"${MASK}"}`);
  });

  it("knows it in base64, wherever it stands in what is encoded", () => {
    for (let before = 0; before < 7; before++) {
      for (let after = 0; after < 4; after++) {
        const text = `${"u".repeat(before)}${VALUE}${"v".repeat(after)}`;
        for (const encoding of ["base64", "base64url"] as const) {
          const left = masked(`Basic ${Buffer.from(text).toString(encoding)}`, VALUE);
          assert.ok(left.includes(MASK), `${before} ${after} ${encoding}`);
          const rest = Buffer.from(left.slice("Basic ".length).replace(MASK, ""), "base64").toString();
          assert.ok(!rest.includes("s3cret"), rest);
        }
      }
    }
  });

  it("leaves values that are too short, and is none when there is nothing to mask", () => {
    assert.equal(SecretMask.of([]), null);
    assert.equal(SecretMask.of(["12345", "", "a\nb"]), null);
    assert.equal(masked("12345 123456", "12345", "123456"), `12345 ${MASK}`);
  });

  it("takes a text that begins like many values up to its next space", () => {
    const values = Array.from({ length: 40 }, () => `sk_live_${randomBytes(12).toString("hex")}`);
    const text = values.map((value) => `key ${value}, `).join("");
    const left = masked(text, ...values);
    for (const value of values) assert.ok(!left.includes(value.slice(8)), value);
    assert.ok(left.includes("key "));
  });

  it("finds values beside each other in random texts", () => {
    for (let round = 0; round < 200; round++) {
      const values = Array.from({ length: 5 }, () => randomBytes(8).toString("base64"));
      const parts = Array.from({ length: 6 }, () => randomBytes(4).toString("latin1"));
      const text = parts.map((part, index) => part + (values[index] ?? "")).join("");
      const left = masked(text, ...values);
      assert.equal(
        left,
        values.reduce((rest, value) => rest.replaceAll(value, MASK), text),
      );
    }
  });
});
