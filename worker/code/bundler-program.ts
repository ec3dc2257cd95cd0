/**
 * The bundler as a program of a sandbox: functions/bundler/program.ts and all that it needs, as one
 * text that Node takes as an argument. So a build needs no files of ours in its sandbox, and Node
 * no time to strip types.
 */
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { nodeProgram, type ProgramRun, programBinds, programPath } from "../../sandbox-core/index.ts";

type Program = ProgramRun["program"];

const ENTRY = import.meta.resolve(`../../functions/bundler/program.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`);
/** The kernel takes no longer argument (execve(2), MAX_ARG_STRLEN). */
const MAX_ARGUMENT_BYTES = 128 * 1024;

let text: Promise<string> | undefined;

/**
 * The program's text, made once in this process. It has esbuild's version in it, so that it tells
 * one bundler from another.
 */
export function bundlerText(): Promise<string> {
  text ??= makeText().catch((error) => {
    text = undefined;
    throw error;
  });
  return text;
}

/**
 * The program, which bundles what its input says out of a tree at `root`.
 * @param tree where the tree lies on this machine
 */
export async function bundlerProgram(tree: string, root: string): Promise<Program> {
  const node = nodeProgram();
  const esbuild = createRequire(import.meta.resolve("esbuild")).resolve(`@esbuild/linux-${process.arch}/bin/esbuild`);
  return {
    argv: [node.path, "--input-type=commonjs", "-e", await bundlerText()],
    env: { ESBUILD_BINARY_PATH: programPath(esbuild) },
    workingDirectory: root,
    // Sources may name any path: none leads to what has no end, as /dev/zero or /proc/self/pagemap.
    root: "finite",
    binds: [
      ...node.binds,
      ...programBinds(esbuild),
      { source: tree, target: root, kind: "directory", executable: false },
    ],
  };
}

async function makeText(): Promise<string> {
  const { build } = await import("esbuild");
  const made = await build({
    entryPoints: [fileURLToPath(ENTRY)],
    bundle: true,
    minify: true,
    keepNames: true,
    platform: "node",
    target: "node24",
    format: "cjs",
    legalComments: "none",
    logLevel: "error",
    write: false,
  });
  const code = made.outputFiles[0]?.text ?? "";
  if (Buffer.byteLength(code) >= MAX_ARGUMENT_BYTES) throw new Error("the bundler is too long for an argument");
  return code;
}
