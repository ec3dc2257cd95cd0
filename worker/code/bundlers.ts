/**
 * Bundlers in sandboxes, each for one build. To start one takes longer than most builds, so that
 * after a build one is started for the next: it waits, with a tree that is empty yet, and has seen
 * nothing of anybody.
 */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { SourceTreeFile } from "../../functions/model/sources.ts";
import { MIB } from "../../infra/std/bytes.ts";
import type { ProgramResult, ProgramRun, SandboxLimits } from "../../sandbox-core/index.ts";
import { makeBuildDirectory, writeTree } from "./build-directory.ts";
import { bundlerProgram } from "./bundler-program.ts";

export const LIMITS: SandboxLimits = {
  memoryBytes: 512 * MIB,
  cpus: 2,
  pids: 64,
  tmpBytes: 16 * MIB,
  tmpInodes: 1_024,
};
/** Most processor time of a build: ten times what a large bundle takes. */
export const CPU_MS = 10_000;
/**
 * Longest time of a build, far above CPU_MS: on a busy machine builds wait for their turn. At its
 * end nobody blames the sources.
 */
export const TIMEOUT_MS = 60_000;
/** A bundle with its source map, and its threads. */
export const MAX_OUTPUT_BYTES = 64 * MIB;
/** Where the tree is inside; the working directory, so that files are named relative to it. */
const TREE = "/function";

/** Runs a program in a sandbox. */
export type RunProgram = (program: ProgramRun) => Promise<ProgramResult>;

/** A bundler in its sandbox, and the directory of its tree. */
export class Bundler {
  readonly #place: string;
  readonly #input: PromiseWithResolvers<Uint8Array>;
  readonly #result: Promise<ProgramResult>;
  #isOver = false;

  private constructor(place: string, input: PromiseWithResolvers<Uint8Array>, result: Promise<ProgramResult>) {
    this.#place = place;
    this.#input = input;
    this.#result = result;
    const over = () => {
      this.#isOver = true;
    };
    result.then(over, over);
  }

  /** Starts one, which gets ready. */
  static async start(run: RunProgram): Promise<Bundler> {
    const place = await makeBuildDirectory();
    const tree = join(place, "tree");
    await mkdir(tree, { mode: 0o755 });
    const program = await bundlerProgram(tree, TREE);
    const input = Promise.withResolvers<Uint8Array>();
    input.promise.catch(() => {});
    const limits = { limits: LIMITS, timeoutMs: TIMEOUT_MS, cpuMs: CPU_MS, maxOutputBytes: MAX_OUTPUT_BYTES };
    return new Bundler(place, input, run({ program, input: input.promise, ...limits }));
  }

  /** Whether it ended before it was asked for anything. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Has it bundle a tree, once. @param request what it takes besides its root, as JSON. */
  async bundle(files: readonly SourceTreeFile[], request: object): Promise<ProgramResult> {
    await writeTree(join(this.#place, "tree"), files);
    this.#input.resolve(Buffer.from(JSON.stringify({ root: TREE, ...request })));
    return await this.#result;
  }

  /** Ends it, if it still runs, and removes its tree. */
  async close(): Promise<void> {
    this.#input.reject(new Error("the bundler is not wanted"));
    await this.#result.catch(() => {});
    await rm(this.#place, { recursive: true, force: true });
  }
}

/** Pause before the next one is started: what was built is checked and called now. */
const REST_MS = 500;

export interface BundlersOptions {
  run: RunProgram;
  /** How long after a build one is kept for the next; 0: none is. */
  warmMs: number;
}

export class Bundlers {
  readonly #options: BundlersOptions;
  #warm: Promise<Bundler> | null = null;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: BundlersOptions) {
    this.#options = options;
  }

  /**
   * Has a bundler do something, and starts another one for the next build.
   * @param isFresh whether it is to be started now
   */
  async use<Result>(work: (bundler: Bundler) => Promise<Result>, isFresh = false): Promise<Result> {
    const warm = isFresh ? null : await this.#takeWarm();
    const bundler = warm ?? (await Bundler.start(this.#options.run));
    try {
      return await work(bundler);
    } finally {
      await bundler.close();
      this.#keepWarm();
    }
  }

  /** Ends the one that waits. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#drop();
  }

  async #takeWarm(): Promise<Bundler | null> {
    const warm = await this.#warm?.catch(() => null);
    this.#warm = null;
    if (!warm?.isOver) return warm ?? null;
    await warm.close();
    return null;
  }

  #keepWarm(): void {
    const { run, warmMs } = this.#options;
    if (warmMs === 0 || this.#isClosed) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = setTimeout(() => void this.#drop(), warmMs).unref();
      this.#warm ??= Bundler.start(run);
      this.#warm.catch(() => {});
    }, REST_MS).unref();
  }

  async #drop(): Promise<void> {
    clearTimeout(this.#timer);
    const warm = await this.#takeWarm();
    await warm?.close();
  }
}
