/** Stacks by the tenant's own files and lines. */
import fs from "node:fs";
import { SourceMap } from "node:module";
import { join } from "node:path";
import { OWN_NAMES } from "./own-prefix.ts";

/** Where the files of `include` are, and where modules believe to be. */
export const FUNCTION_DIRECTORY = "/function";
/** The bundle's name inside. No such file exists. */
const BUNDLE = "index.js";
export const FUNCTION_FILE = `/function/${BUNDLE}`;
export const FUNCTION_URL = "file:///function/index.js";

const { parse } = JSON;
const { readFileSync } = fs;
const FRAME_LINE = /^\s+at /;
const URL_PREFIX = "file:///function/";
const POSITION = /file:\/\/\/function\/([^\s():]+\.[cm]?[jt]sx?):(\d+):(\d+)/g;
/** The beginning of a map in a file, as threads' modules bring theirs along. */
const INLINE_MAP = "//# sourceMappingURL=data:application/json;base64,";
/** Most files whose maps are looked for: a text may name any number. */
const MAX_THREAD_FILES = 32;

/**
 * Replaces positions in the bundle by positions in the sources, as far as the source map knows
 * them.
 */
export class StackMapper {
  #json: Uint8Array | null;
  #map: SourceMap | null = null;
  readonly #ofThreads = new Map<string, SourceMap | null>();
  readonly #directory: string;

  /**
   * `json` is the bundle's source map. Modules of threads are files in `directory`, which end with
   * theirs. A map is parsed at the first need: most instances never show a stack.
   */
  constructor(json: Uint8Array | null, directory = FUNCTION_DIRECTORY) {
    this.#json = json;
    this.#directory = directory;
  }

  /**
   * The same text with every position mapped, and without the runtime's own frames, which say
   * nothing to a tenant. Never throws.
   */
  map(text: string): string {
    const own = text.includes(OWN_NAMES) ? withoutOwnFrames(text) : text;
    if (!own.includes(URL_PREFIX)) return own;
    return own.replace(POSITION, (position, path, line, column) => {
      const map = path === BUNDLE ? this.#load() : this.#ofThread(path);
      return (map && original(map, Number(line), Number(column))) ?? position;
    });
  }

  #ofThread(path: string): SourceMap | null {
    const known = this.#ofThreads.get(path);
    if (known !== undefined || this.#ofThreads.size === MAX_THREAD_FILES) return known ?? null;
    const map = inlineMap(join(this.#directory, decoded(path)));
    this.#ofThreads.set(path, map);
    return map;
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

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** The source map at the end of a file; null where there is none. */
function inlineMap(file: string): SourceMap | null {
  try {
    const text = readFileSync(file, "latin1");
    const start = text.lastIndexOf(INLINE_MAP);
    if (start === -1) return null;
    return new SourceMap(parse(Buffer.from(text.slice(start + INLINE_MAP.length), "base64").toString("utf8")));
  } catch {
    return null;
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
