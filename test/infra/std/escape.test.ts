/** Characters that are more than text to a terminal, or to a reader's eye. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { escapeControls, escapeJson, escapeLine } from "../../../infra/std/escape.ts";

describe("escaping for a terminal", () => {
  it("shows escape sequences, other controls and reordering marks instead of sending them", () => {
    assert.equal(escapeControls("\u001b[31mred\u0007\u009b\u007f"), "\\x1b[31mred\\x07\\x9b\\x7f");
    assert.equal(escapeControls("a\r\u202eb\u2066"), "a\\x0d\\u202eb\\u2066");
    assert.equal(escapeControls("tab\tline\nä 𝄞 \ud800"), "tab\tline\nä 𝄞 \\ud800");
    assert.equal(escapeLine("a\nb\tc"), "a\\nb\\tc");
  });

  it("never lets a control character through", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: it is what must not be there.
        assert.doesNotMatch(escapeLine(text), /[\u0000-\u001f\u007f-\u009f]/);
      }),
    );
  });

  it("leaves a line of JSON what it says", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const json = escapeJson(JSON.stringify({ text }));
        assert.doesNotMatch(json, /[\u007f-\u009f\u2028-\u202e]/);
        assert.deepEqual(JSON.parse(json), { text });
      }),
    );
    assert.equal(escapeJson('"\u009b\u202e"'), '"\\u009b\\u202e"');
  });
});
