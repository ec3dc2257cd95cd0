/**
 * Makes a bundle of an uploaded source tree: the bundler runs as a program in a sandbox that sees
 * that tree, read-only, and nothing else. The tenant reads its complaints about wrong code as they
 * are.
 */
import { createHash } from "node:crypto";
import { constants } from "node:os";
import type { Redis } from "ioredis";
import type { BuildRequest, BuildResult } from "../../functions/model/build.ts";
import { type BundlerResult, decodeBundlerResult } from "../../functions/model/bundle-output.ts";
import { SandpiperError } from "../../functions/model/errors.ts";
import { checkIncluded, includedFiles } from "../../functions/model/included.ts";
import { entryProblem, packSources, type SourceTreeFile, unpackSources } from "../../functions/model/sources.ts";
import type { FileArtifactStore } from "../../functions/store/artifacts.ts";
import { findBuild, keepBuild } from "../../functions/store/builds.ts";
import { MIB } from "../../infra/std/bytes.ts";
import type { ProgramResult } from "../../sandbox-core/index.ts";
import { bundlerText } from "./bundler-program.ts";
import { type Bundler, Bundlers, CPU_MS, LIMITS, MAX_OUTPUT_BYTES, type RunProgram, TIMEOUT_MS } from "./bundlers.ts";

export interface BuilderOptions {
  redis: Redis;
  artifacts: FileArtifactStore;
  run: RunProgram;
  /** How long after a build a bundler is kept for the next; 0: none is. */
  warmMs?: number;
}

/** Signals by which a process ends itself, as V8 does when it runs out of memory. */
const { SIGABRT, SIGILL, SIGSEGV, SIGTRAP } = constants.signals;
const CRASHES = new Set<number | null>([SIGABRT, SIGILL, SIGSEGV, SIGTRAP]);
/** Longest text of a bundler that failed without a result. */
const MAX_SAID_LENGTH = 4_096;

/** Makes bundles, once for the same input over all workers. */
export class Builder {
  readonly #options: BuilderOptions;
  readonly #bundlers: Bundlers;

  constructor(options: BuilderOptions) {
    this.#options = options;
    this.#bundlers = new Bundlers({ run: options.run, warmMs: options.warmMs ?? 0 });
  }

  /**
   * The bundle of a source tree, built now or before.
   * @throws Error when the platform fails; what is wrong with the sources is a result.
   */
  async build(request: BuildRequest): Promise<BuildResult> {
    const digest = await buildDigest(request);
    const before = await this.#builtBefore(digest);
    if (before !== null) return before;
    const packed = await this.#options.artifacts.sourcesOf(request.tenant).get(request.sourceDigest);
    if (packed === null) throw new Error(`The tenant's store has no source tree ${request.sourceDigest}.`);
    const files = readTree(packed);
    if (typeof files === "string") return refused(files);
    const result = await this.#buildNow(files, request);
    if (!result.ok) return result;
    const { writtenBytes: _, ...kept } = result;
    await keepBuild(this.#options.redis, digest, kept);
    return result;
  }

  /** The result of an earlier build of the same input, if all of it is still there. */
  async #builtBefore(digest: string): Promise<BuildResult | null> {
    const { redis, artifacts } = this.#options;
    const result = await findBuild(redis, digest);
    if (result === null) return null;
    const { bundle, sourceMap, included = bundle } = result;
    const needed = [bundle, sourceMap, included];
    const there = await Promise.all(needed.map((one) => artifacts.has(one)));
    return there.every(Boolean) ? result : null;
  }

  async #buildNow(files: SourceTreeFile[], request: BuildRequest): Promise<BuildResult> {
    const { entry, directory, external, nodeEnv } = request;
    if (!files.some(({ path }) => path === entry)) {
      return refused(`The entry file ${JSON.stringify(entry)} is not among the uploaded files.`);
    }
    const problem = entryProblem(entry);
    if (problem !== null) return refused(`The entry file ${JSON.stringify(entry)} ${problem}.`);
    const settings = { entry, directory, external, nodeEnv };
    const bundle = (bundler: Bundler) => bundler.bundle(files, settings);
    const first = await this.#bundlers.use(bundle);
    // Somebody ended it.
    const result = killerOf(first) === null ? first : await this.#bundlers.use(bundle, true);
    return await this.#keep(result, files, request);
  }

  /** Ends what waits for the next build. */
  async close(): Promise<void> {
    await this.#bundlers.close();
  }

  async #keep(result: ProgramResult, files: SourceTreeFile[], request: BuildRequest): Promise<BuildResult> {
    if (result.ended === "timeout") return { ok: false, cause: "machine", message: busyFor(result.usage.cpuMs) };
    const killer = killerOf(result);
    if (killer !== null) return { ok: false, cause: "machine", message: endedBy(killer) };
    const output = outputOf(result);
    if (typeof output === "string") return refused(output);
    if ("refusal" in output) return refused(output.refusal);
    const { code, sourceMap, threads, contents, warnings } = output;
    const beside = packed(() => packIncluded(files, threads, request));
    if (typeof beside === "string") return refused(beside);
    const { artifacts } = this.#options;
    const parts = [code, sourceMap, ...(beside === null ? [] : [beside])];
    const [bundle, map, included] = (await Promise.all(parts.map((one) => artifacts.put(one)))) as [
      string,
      string,
      string?,
    ];
    // Also of what the store had: whether it did says what others have.
    const writtenBytes = parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const made = { bundle, sourceMap: map, bundleBytes: code.byteLength, contents, writtenBytes, warnings };
    return { ok: true, ...made, ...(included !== undefined && { included }) };
  }
}

/** What goes beside the bundle, packed; null when nothing does. @throws SandpiperError */
function packIncluded(
  files: readonly SourceTreeFile[],
  threads: readonly SourceTreeFile[],
  { directory, included }: BuildRequest,
): Buffer | null {
  const beside = includedFiles([...files, ...threads], directory, [...included, ...threads.map(({ path }) => path)]);
  if (beside.length === 0) return null;
  checkIncluded(beside);
  return packSources(beside);
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
 * wrong with sources, it ends with an exit code or crashes, and our own limits are told apart.
 */
function killerOf({ signal, ended, usage }: ProgramResult): number | null {
  const isOurs = ended !== undefined || usage.oomKills > 0 || CRASHES.has(signal);
  return isOurs ? null : signal;
}

function endedBy(signal: number): string {
  return `Something on this worker's machine ended the bundler, twice, by signal ${signal}. Deploy again.`;
}

/** What the bundler wrote, or why there is nothing to read. */
function outputOf({ code, ended, usage, stdout, stderr }: ProgramResult): BundlerResult | string {
  if (ended === "cpu limit")
    return `The bundler was ended after ${CPU_MS} ms of processor time: the sources take too long to bundle.`;
  if (ended === "output limit")
    return `The bundle is larger than the limit of ${MAX_OUTPUT_BYTES} bytes with its source map.`;
  if (usage.oomKills > 0) return `The bundler needed more than its ${LIMITS.memoryBytes / MIB} MiB: bundle less.`;
  const output = decodeBundlerResult(stdout);
  if (output !== null && code === 0) return output;
  const said = stderr.toString("utf8").trim().slice(0, MAX_SAID_LENGTH);
  return `The bundler failed${said === "" ? " and did not say why." : `: ${said}`}`;
}

function readTree(bytes: Uint8Array): SourceTreeFile[] | string {
  return packed(() => unpackSources(bytes));
}

/** What comes of packing or unpacking, or what is wrong with the sources. */
function packed<Result>(work: () => Result): Result | string {
  try {
    return work();
  } catch (error) {
    if (error instanceof SandpiperError) return error.message;
    throw error;
  }
}

/**
 * A digest of all that decides the result of a build: the sources, the settings and the bundler;
 * and of the tenant, who would else learn from a build that takes no time that another has made it.
 */
async function buildDigest(request: BuildRequest): Promise<string> {
  const { tenant, sourceDigest, entry, directory, included, external, nodeEnv } = request;
  const facts = [tenant, sourceDigest, entry, directory, included, external, nodeEnv, await bundlerText()];
  return createHash("sha256").update(JSON.stringify(facts)).digest("hex");
}
