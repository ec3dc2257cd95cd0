/** Our sources as plain JavaScript, for where Node strips no types, or takes too long to. */
import { stripTypeScriptTypes } from "node:module";

/**
 * The module without its types and with its relative imports renamed. Types become blanks, so that
 * lines and columns stay those of the source.
 */
export function toJavaScript(source: string): string {
  return nameJavaScript(stripTypeScriptTypes(source));
}

/** The text with its relative imports renamed to what they become. */
export function nameJavaScript(text: string): string {
  return text.replace(/(["'])(\.{1,2}\/[^"'\n]+)\.ts\1/g, "$1$2.js$1");
}
