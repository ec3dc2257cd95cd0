/** Entries become modules, in the format that each is written in. */
import { readFile } from "node:fs/promises";
import { join, posix } from "node:path";
import type { BuildFailure, BuildResult, build, Message, OutputFile, PartialMessage } from "esbuild";
import { type BundleSettings, COMMONJS_MARK } from "../model/bundling.ts";
import { missingAdvice } from "./advice.ts";
import { type Format, formatOf, guessFormat, isProgram, otherFormat } from "./module-kind.ts";
import { PLACE_DEFINES, placeModules } from "./module-places.ts";
import { missingPackages } from "./optional-imports.ts";
import { BUNDLE_OPTIONS, REQUIRE_BANNER, RUNTIME_MODULES } from "./options.ts";
import { ADDON, importsPlugin } from "./plugin.ts";

export interface BundleRequest extends BundleSettings {
  /**
   * Root of the sources: absolute and free of symbolic links. Messages name files relative to it.
   */
  root: string;
  /** Path of the entry below the root, with "/". */
  entry: string;
  /** Whether the files alone are wanted that the bundle is made of, and neither code nor map. */
  filesOnly?: boolean;
}

/** Bundles as esbuild's `build` does: that itself, or one that keeps what it parsed before. */
export type Bundle = typeof build;

/** A native addon that was imported, and by which file: its path below the root. */
export interface AddonImport {
  specifier: string;
  importer: string;
}

type Metafile = BuildResult<typeof BUNDLE_OPTIONS>["metafile"];

/** One entry, bundled. */
export interface BuiltEntry {
  code: string;
  /** JSON. */
  sourceMap: string;
  metafile: Metafile;
  warnings: Message[];
  addons: AddonImport[];
  /** Packages that are not there, and are imported where that can be dealt with. */
  missing: string[];
}

/** The entry as it is tried. */
interface Attempt {
  format: Format;
  text: string;
}

/** The sources cannot be bundled, for what esbuild says. */
export class BundleError extends Error {
  readonly errors: PartialMessage[];

  constructor(errors: PartialMessage[]) {
    super(errors[0]?.text ?? "the sources cannot be bundled");
    this.name = "BundleError";
    this.errors = errors;
  }
}

/** The expression that code for other times is told by. */
const NODE_ENV = ["process.env", "NODE_ENV"].join(".");
/** Most turns in which imports are found that lack something. */
const MOST_TURNS = 20;

/**
 * Bundles an entry as what it is, a CommonJS or an ES module. Where the other format alone can have
 * all that it imports (sloppy code in a package, `await` at the top), in that.
 * @throws BundleError with esbuild's messages
 */
export async function buildEntry(request: BundleRequest, esbuild: Bundle): Promise<BuiltEntry> {
  const text = await readFile(join(request.root, request.entry), "utf8");
  const guess = guessFormat(request.entry, text);
  const first = await buildAs(request, esbuild, { format: guess, text });
  const isRight = first instanceof BundleError ? !first.errors.some(isOfFormat) : first.format === guess;
  if (isRight) return unlessFailed(first);
  const second = await buildAs(request, esbuild, { format: otherFormat(guess), text });
  return unlessFailed(second instanceof BundleError ? first : second);
}

function unlessFailed(result: BuiltEntry | BundleError): BuiltEntry {
  if (result instanceof BundleError) throw result;
  return result;
}

/** Whether the other format might have what this one cannot. */
function isOfFormat({ text = "" }: PartialMessage): boolean {
  return /"(?:esm|cjs)" output format/.test(text);
}

/** Builds again and again until nothing is missing that may be, in one format. */
async function buildAs(
  request: BundleRequest,
  esbuild: Bundle,
  entry: Attempt,
): Promise<(BuiltEntry & { format: Format }) | BundleError> {
  const missing = new Set<string>();
  for (let turn = 1; ; turn++) {
    const built = await buildOnce(request, esbuild, entry, [...missing]);
    if (!Array.isArray(built)) return built;
    const found = missingPackages(built).filter((name) => !missing.has(name));
    if (found.length === 0 || turn === MOST_TURNS) return new BundleError(built.map(advised));
    for (const name of found) missing.add(name);
  }
}

/** @returns esbuild's errors when it fails */
async function buildOnce(request: BundleRequest, esbuild: Bundle, { format, text }: Attempt, missing: string[]) {
  const { root, entry, external, nodeEnv, filesOnly = false } = request;
  const isMain = isProgram(text, format);
  try {
    const result = await esbuild({
      ...BUNDLE_OPTIONS,
      ...(filesOnly && { sourcemap: false }),
      format,
      absWorkingDir: root,
      // Relative, as a "*" in the root's name would make a pattern of an absolute one.
      entryPoints: [{ in: `./${entry}`, out: "bundle" }],
      define: { ...PLACE_DEFINES, [NODE_ENV]: JSON.stringify(nodeEnv) },
      banner: { js: format === "esm" ? REQUIRE_BANNER : COMMONJS_MARK },
      external: [...RUNTIME_MODULES, ...external, ...missing],
      plugins: [importsPlugin({ file: join(root, entry), format })],
    });
    return {
      ...(filesOnly ? { code: "", sourceMap: "" } : placed(request, result.outputFiles, isMain)),
      metafile: result.metafile,
      warnings: result.warnings,
      addons: addonsOf(result.metafile),
      missing,
      format: formatOf(entry, result.metafile),
    };
  } catch (failure) {
    const { errors } = failure as BuildFailure;
    if (Array.isArray(errors) && errors.length > 0) return errors;
    throw failure;
  }
}

function addonsOf({ inputs }: Metafile): AddonImport[] {
  return Object.entries(inputs).flatMap(([importer, { imports }]) =>
    imports
      .filter(({ path }) => path.startsWith(`${ADDON}:`))
      .map(({ path, original = path }) => ({ specifier: original, importer })),
  );
}

function placed({ directory, entry }: BundleRequest, outputFiles: readonly OutputFile[], isMain: boolean) {
  const [map, js] = ["bundle.js.map", "bundle.js"].map(
    (name) => outputFiles.find(({ path }) => path.endsWith(`/${name}`))?.text ?? "",
  ) as [string, string];
  const pathOf = (source: string) => posix.relative(directory, source);
  const { code, definitions } = placeModules({ code: js, sourceMap: map, pathOf, main: isMain ? entry : null });
  return {
    code: code.replace("\n", () => `${definitions}\n`),
    sourceMap: map,
  };
}

/** An error with what is known about it besides. */
function advised(error: Message): PartialMessage {
  const [, specifier] = /^Could not resolve "(.*)"$/.exec(error.text) ?? [];
  const advice = specifier === undefined ? loaderAdvice(error.text) : missingAdvice(specifier);
  return advice === null ? error : { ...error, notes: [{ text: advice }] };
}

function loaderAdvice(text: string): string | null {
  if (/^No matching export in "[^"]*\.wasm" for import/.test(text)) return NO_WASM_EXPORT;
  if (!text.startsWith("No loader is configured for")) return null;
  return 'Import it with { type: "text" } or { type: "bytes" }, or name it in "include" of sandpiper.jsonc and read it as a file.';
}

const NO_WASM_EXPORT =
  "A WebAssembly module has exports of its own where all that it imports are modules that are found. For other imports, such as env or WASI, make an instance of its default export: new WebAssembly.Instance(wasm, imports).";
