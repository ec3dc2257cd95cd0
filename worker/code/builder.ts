/**
 * Makes a bundle of an uploaded source tree: esbuild runs as a program in a sandbox that sees that
 * tree, read-only, and nothing else. The tenant reads its complaints about wrong code as they are.
 */
import { createHash } from "node:crypto";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { Redis } from "ioredis";
import type { BuildRequest, BuildResult } from "../../functions/model/build.ts";
import { bundleFlags } from "../../functions/model/bundling.ts";
import { SandpiperError } from "../../functions/model/errors.ts";
import { entryProblem, type SourceTreeFile, unpackSources } from "../../functions/model/sources.ts";
import type { ArtifactStore } from "../../functions/store/artifacts.ts";
import { findBuild, keepBuild } from "../../functions/store/builds.ts";
import { MIB } from "../../infra/std/bytes.ts";
import {
  type ProgramResult,
  type ProgramRun,
  programBinds,
  programPath,
  type SandboxLimits,
} from "../../sandbox-core/index.ts";
import { makeBuildDirectory } from "./build-directory.ts";
import { readBuildErrors, readBuildOutput } from "./esbuild-output.ts";

export interface BuilderOptions {
  redis: Redis;
  artifacts: ArtifactStore;
  /** Runs a program in a sandbox. */
  run(program: ProgramRun): Promise<ProgramResult>;
}

const LIMITS: SandboxLimits = { memoryBytes: 512 * MIB, cpus: 2, pids: 64, tmpBytes: 16 * MIB, tmpInodes: 1_024 };
/** Most processor time of a build: ten times what a large bundle takes. */
const CPU_MS = 10_000;
/**
 * Longest time of a build, far above CPU_MS: on a busy machine builds wait for their turn. At its
 * end nobody blames the sources.
 */
const TIMEOUT_MS = 60_000;
/** A bundle with its source map, which is a third longer in base64. */
const MAX_OUTPUT_BYTES = 64 * MIB;
/** Where the tree is inside; the working directory, so that esbuild names files relative to it. */
const TREE = "/function";

/** Makes bundles, once for the same input over all workers. */
export class Builder {
  readonly #options: BuilderOptions;

  constructor(options: BuilderOptions) {
    this.#options = options;
  }

  /**
   * The bundle of a source tree, built now or before.
   * @throws Error when the platform fails; what is wrong with the sources is a result.
   */
  async build(request: BuildRequest): Promise<BuildResult> {
    const digest = buildDigest(request);
    const before = await this.#builtBefore(digest);
    if (before !== null) return before;
    const packed = await this.#options.artifacts.get(request.sourceDigest);
    if (packed === null) throw new Error(`The artefact store has no source tree ${request.sourceDigest}.`);
    const files = readTree(packed);
    if (typeof files === "string") return refused(files);
    const result = await this.#buildNow(files, request.entry);
    if (result.ok) await keepBuild(this.#options.redis, digest, result);
    return result;
  }

  /** The result of an earlier build of the same input, if all of it is still there. */
  async #builtBefore(digest: string): Promise<BuildResult | null> {
    const { redis, artifacts } = this.#options;
    const result = await findBuild(redis, digest);
    if (result === null) return null;
    const there = await Promise.all([artifacts.has(result.bundle), artifacts.has(result.sourceMap)]);
    return there.every(Boolean) ? result : null;
  }

  async #buildNow(files: SourceTreeFile[], entry: string): Promise<BuildResult> {
    if (!files.some(({ path }) => path === entry)) {
      return refused(`The entry file ${JSON.stringify(entry)} is not among the uploaded files.`);
    }
    const problem = entryProblem(entry);
    if (problem !== null) return refused(`The entry file ${JSON.stringify(entry)} ${problem}.`);
    const directory = await makeBuildDirectory();
    try {
      const tree = join(directory, "tree");
      await writeTree(tree, files);
      return await this.#keep(await this.#bundle(esbuildRun(tree, entry)));
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }

  /** Runs the bundler, once more when somebody ended it. */
  async #bundle(run: ProgramRun): Promise<ProgramResult> {
    const result = await this.#options.run(run);
    return killerOf(result) === null ? result : await this.#options.run(run);
  }

  async #keep(result: ProgramResult): Promise<BuildResult> {
    if (result.ended === "timeout") return { ok: false, cause: "machine", message: busyFor(result.usage.cpuMs) };
    const killer = killerOf(result);
    if (killer !== null) return { ok: false, cause: "machine", message: endedBy(killer) };
    const refusal = refusalOf(result);
    if (refusal !== null) return refused(refusal);
    const output = readBuildOutput(result.stdout, result.stderr);
    if (typeof output === "string") return refused(output);
    const { artifacts } = this.#options;
    const [bundle, sourceMap] = await Promise.all([artifacts.put(output.code), artifacts.put(output.sourceMap)]);
    return { ok: true, bundle, sourceMap, bundleBytes: output.code.byteLength, warnings: output.warnings };
  }
}

function refused(message: string): BuildResult {
  return { ok: false, cause: "sources", message };
}

/** A bundler has nothing to wait for: one that takes long is one that the machine does not run. */
function busyFor(cpuMs: number): string {
  const got = `the bundler got ${Math.round(cpuMs)} ms of processor time in ${TIMEOUT_MS} ms`;
  return `This worker's machine is too busy: ${got}. Deploy again, or start workers on more machines.`;
}

/**
 * The signal by which something outside of the sandbox ended the bundler, or null: whatever is
 * wrong with sources, it ends with an exit code, and our own limits are told apart.
 */
function killerOf({ signal, ended, usage }: ProgramResult): number | null {
  return ended === undefined && usage.oomKills === 0 ? signal : null;
}

function endedBy(signal: number): string {
  return `Something on this worker's machine ended the bundler, twice, by signal ${signal}. Deploy again.`;
}

/** Why there is no output to read, or null. */
function refusalOf({ code, ended, usage, stderr }: ProgramResult): string | null {
  if (ended === "cpu limit")
    return `The bundler was ended after ${CPU_MS} ms of processor time: the sources take too long to bundle.`;
  if (ended === "output limit")
    return `The bundle is larger than the limit of ${MAX_OUTPUT_BYTES} bytes with its source map.`;
  if (usage.oomKills > 0) return `The bundler needed more than its ${LIMITS.memoryBytes / MIB} MiB: bundle less.`;
  return code === 0 ? null : readBuildErrors(stderr);
}

function readTree(packed: Uint8Array): SourceTreeFile[] | string {
  try {
    return unpackSources(packed);
  } catch (error) {
    if (error instanceof SandpiperError) return error.message;
    throw error;
  }
}

/** Every path was checked by `unpackSources`: relative, and without "..". */
async function writeTree(tree: string, files: readonly SourceTreeFile[]): Promise<void> {
  await mkdir(tree, { mode: 0o755 });
  const directories = new Set(files.map(({ path }) => dirname(path)));
  for (const directory of directories) await mkdir(join(tree, directory), { recursive: true, mode: 0o755 });
  for (const { path, bytes } of files) await writeFile(join(tree, path), bytes, { flag: "wx", mode: 0o644 });
}

function esbuildRun(tree: string, entry: string): ProgramRun {
  const { binary } = esbuild();
  const ours = ["--log-level=warning", "--log-limit=20", "--color=false", "--analyze"];
  return {
    program: {
      // With a name for the output before it, esbuild takes the rest for a path, also one with a
      // "=" in it.
      argv: [programPath(binary), `bundle=./${entry}`, ...bundleFlags(), ...ours],
      env: {},
      workingDirectory: TREE,
      // Sources may name any path: none leads to what has no end, as /dev/zero or
      // /proc/self/pagemap.
      root: "finite",
      binds: [...programBinds(binary), { source: tree, target: TREE, kind: "directory", executable: false }],
    },
    limits: LIMITS,
    timeoutMs: TIMEOUT_MS,
    cpuMs: CPU_MS,
    maxOutputBytes: MAX_OUTPUT_BYTES,
  };
}

/**
 * A digest of all that decides the result of a build: the sources, the entry, the options and the
 * bundler.
 */
function buildDigest({ sourceDigest, entry }: BuildRequest): string {
  const facts = [sourceDigest, entry, bundleFlags(), esbuild().version];
  return createHash("sha256").update(JSON.stringify(facts)).digest("hex");
}

let found: { binary: string; version: string } | undefined;

/** esbuild's own program, which its package for this machine brings. */
function esbuild(): { binary: string; version: string } {
  if (found !== undefined) return found;
  const manifest = createRequire(import.meta.url).resolve("esbuild/package.json");
  const require = createRequire(manifest);
  const binary = require.resolve(`@esbuild/linux-${process.arch}/bin/esbuild`);
  const { version } = require(manifest) as { version: string };
  found = { binary, version };
  return found;
}
