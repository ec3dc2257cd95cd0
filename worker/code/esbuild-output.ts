/**
 * Reads what esbuild wrote: the bundle with its source map, warnings, errors. All of it is hostile
 * text.
 */

export interface BuildOutput {
  code: Uint8Array;
  /** JSON, as esbuild made it. */
  sourceMap: Uint8Array;
  warnings: string[];
}

/** Longest text of errors or of one warning that is passed on. */
const MAX_MESSAGE_LENGTH = 16 * 1024;
const MAX_WARNINGS = 20;

const MAP_MARK = "\n//# sourceMappingURL=data:application/json;base64,";

/** The first line of what --analyze writes, after all warnings: "  index.js   1.2kb   100.0%". */
const ANALYSIS = /^ {2}\S.* 100\.0%$/m;
/**
 * A line of the analysis that names a file outside the working directory: "   ├ ../../etc/hosts   54b".
 */
const OUTSIDE_INPUT = /^ {3}[├└] (?:\.\.)?\/.*$/m;
/**
 * The place of an error, by such a file: "    ../../etc/hosts:1:2:". Its source line would follow.
 */
const OUTSIDE_PLACE = /^ {4}(?:\.\.)?\/.*:\d+:\d+:$/m;

const LEADS_OUTSIDE =
  'An import, or the "extends" or "paths" of a tsconfig.json, leads outside the uploaded files. ' +
  "Only files of the function's own directory and its packages can be part of the bundle.";

/**
 * The output of a build that succeeded, or a sentence that says why it is refused. The kernel keeps
 * the host's files away; what is left outside the tree is the sandbox's own, and nobody's function
 * may contain it either.
 */
export function readBuildOutput(stdout: Buffer, stderr: Buffer): BuildOutput | string {
  const said = stderr.toString("utf8");
  if (OUTSIDE_INPUT.test(said) || OUTSIDE_PLACE.test(said)) return LEADS_OUTSIDE;
  const mark = stdout.lastIndexOf(MAP_MARK);
  if (mark < 0) return "The bundler gave no source map.";
  const sourceMap = Buffer.from(stdout.toString("latin1", mark + MAP_MARK.length), "base64");
  return { code: stdout.subarray(0, mark + 1), sourceMap, warnings: warningsIn(said) };
}

/**
 * The errors of a build that failed, as esbuild formats them: the reason, file:line:column, the
 * source line.
 */
export function readBuildErrors(stderr: Buffer): string {
  const said = stderr.toString("utf8").trim();
  if (OUTSIDE_PLACE.test(said)) return LEADS_OUTSIDE;
  return said === "" ? "The bundler failed and did not say why." : shorten(said);
}

function warningsIn(said: string): string[] {
  const analysis = said.search(ANALYSIS);
  const warnings = (analysis < 0 ? said : said.slice(0, analysis)).split(/^(?=▲ \[WARNING\] )/m);
  return warnings.flatMap((text) => (text.trim() === "" ? [] : [shorten(text.trim())])).slice(0, MAX_WARNINGS);
}

function shorten(text: string): string {
  return text.length <= MAX_MESSAGE_LENGTH ? text : `${text.slice(0, MAX_MESSAGE_LENGTH)}\n... (cut)`;
}
