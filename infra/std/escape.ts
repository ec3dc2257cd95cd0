/** Text of others, made safe to show on a terminal and to keep in a log. */

/**
 * Everything that a terminal or a reader's eye may take as more than text: C0 and C1 control
 * characters but tab and line feed, DEL, the marks that reorder text (Unicode's UAX 9), line
 * separators, and halves of surrogate pairs.
 */
const UNSAFE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding control characters is what it is for.
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|\p{Surrogate}/gu;

/**
 * The text with every unsafe character as a visible escape: `\x1b`, `\u202e`. Tabs and line feeds
 * stay.
 */
export function escapeControls(text: string): string {
  return text.replace(UNSAFE, (character) => {
    const code = character.charCodeAt(0);
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : escapeAsJson(character);
  });
}

/** The same for text that must stay on one line. */
export function escapeLine(text: string): string {
  return escapeControls(text).replaceAll("\n", "\\n").replaceAll("\t", "\\t");
}

/**
 * A line of JSON for a terminal: the same value, with the characters escaped that JSON itself lets
 * through.
 */
export function escapeJson(json: string): string {
  return json.replace(UNSAFE, escapeAsJson);
}

function escapeAsJson(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
