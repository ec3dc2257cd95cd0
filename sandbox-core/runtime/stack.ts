/** Stacks by the tenant's own files and lines. */
import { SourceMap } from "node:module";
import { OWN_NAMES } from "./own-prefix.ts";

/** Where the files of `include` are, and where modules believe to be. */
export const FUNCTION_DIRECTORY = "/function";
/** The bundle's name inside. No such file exists. */
export const FUNCTION_FILE = "/function/index.js";
export const FUNCTION_URL = "file:///function/index.js";

const { parse } = JSON;
const FRAME_LINE = /^\s+at /;
const POSITION = /file:\/\/\/function\/index\.js:(\d+):(\d+)/g;

/**
 * Replaces positions in the bundle by positions in the sources, as far as the source map knows
 * them.
 */
export class StackMapper {
  #json: Uint8Array | null;
  #map: SourceMap | null = null;

  /**
   * `json` is the bundle's source map. The map is parsed at the first need: most instances never
   * show a stack.
   */
  constructor(json: Uint8Array | null) {
    this.#json = json;
  }

  /**
   * The same text with every position mapped, and without the runtime's own frames, which say
   * nothing to a tenant. Never throws.
   */
  map(text: string): string {
    const own = text.includes(OWN_NAMES) ? withoutOwnFrames(text) : text;
    if (!own.includes(FUNCTION_URL)) return own;
    const map = this.#load();
    if (map === null) return own;
    return own.replace(POSITION, (position, line, column) => original(map, Number(line), Number(column)) ?? position);
  }

  #load(): SourceMap | null {
    const json = this.#json;
    if (json === null) return this.#map;
    this.#json = null;
    try {
      if (json.length > 0) this.#map = new SourceMap(parse(Buffer.from(json).toString("utf8")));
    } catch {
      // A map that cannot be read costs the mapping, not the error that was to be mapped.
    }
    return this.#map;
  }
}

function withoutOwnFrames(text: string): string {
  const lines = text.split("\n");
  return lines.filter((line) => !(FRAME_LINE.test(line) && line.includes(OWN_NAMES))).join("\n");
}

/** "src/index.ts:3:5" for a position (both from 1) in the bundle, or null. */
function original(map: SourceMap, line: number, column: number): string | null {
  const entry = map.findEntry(line - 1, column - 1);
  if (!("originalSource" in entry)) return null;
  const source = entry.originalSource.replace(/^file:\/\//, "").replace(/^(\.{1,2}\/)+/, "");
  return `${source}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
}
