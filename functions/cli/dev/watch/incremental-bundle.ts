/** Bundling again and again: what did not change is not parsed again. */
import { resolve } from "node:path";
import { type BuildContext, type BuildFailure, type BuildOptions, build, context, type Message } from "esbuild";
import type { Bundle } from "../../../bundler/entry-build.ts";

/** An import that led nowhere. */
export interface UnresolvedImport {
  /** Absolute path of the file that has it. */
  importer: string;
  specifier: string;
}

/** The facts about a bundle that failed by which its next try is found. */
export interface FailedBundle {
  /** Absolute paths of the files that were read. */
  files: string[];
  unresolved: UnresolvedImport[];
}

interface Kept {
  context: BuildContext;
  isUsed: boolean;
}

/** Keeps esbuild's contexts from one round of bundling to the next. */
export class IncrementalBundle {
  readonly #kept = new Map<string, Kept>();
  #failed: { options: BuildOptions; errors: Message[] } | null = null;

  /** As esbuild's `build`. */
  readonly bundle = (async (options: BuildOptions) => {
    try {
      return await this.#bundle(options);
    } catch (error) {
      this.#failed = { options, errors: (error as BuildFailure).errors ?? [] };
      throw error;
    }
  }) as Bundle;

  /** Begins a round: what the last one did not use is dropped. */
  async begin(): Promise<void> {
    this.#failed = null;
    for (const [key, { context, isUsed }] of this.#kept) {
      if (!isUsed) {
        this.#kept.delete(key);
        await context.dispose();
      }
    }
    for (const kept of this.#kept.values()) kept.isUsed = false;
  }

  /**
   * The bundle of this round that failed, or null. esbuild says nothing of the files that it read
   * for one, so they are listed by bundling once more.
   */
  async failed(): Promise<FailedBundle | null> {
    if (this.#failed === null) return null;
    const { options, errors } = this.#failed;
    const base = options.absWorkingDir ?? "/";
    const files = await filesRead(options);
    const unresolved = errors.flatMap(({ text, location }) => {
      const specifier = /^Could not resolve "(.+)"/.exec(text)?.[1];
      return specifier === undefined || !location
        ? []
        : [{ importer: resolve(base, location.file), specifier: specifier }];
    });
    return { files, unresolved };
  }

  async dispose(): Promise<void> {
    const contexts = [...this.#kept.values()].map(({ context }) => context);
    this.#kept.clear();
    await Promise.all(contexts.map((context) => context.dispose()));
  }

  async #bundle(options: BuildOptions) {
    // Of plugins their names are in it, and they decide by the rest of the options alone.
    const key = JSON.stringify(options);
    let kept = this.#kept.get(key);
    if (kept === undefined) {
      kept = { context: await context(options), isUsed: true };
      this.#kept.set(key, kept);
    }
    kept.isUsed = true;
    return await kept.context.rebuild();
  }
}

async function filesRead(options: BuildOptions): Promise<string[]> {
  const files = new Set<string>();
  const notes = {
    name: "files-read",
    setup({ onLoad }: Parameters<NonNullable<BuildOptions["plugins"]>[number]["setup"]>[0]) {
      onLoad({ filter: /.*/, namespace: "file" }, ({ path }) => {
        files.add(path);
        return null;
      });
    },
  };
  await build({ ...options, metafile: false, plugins: [...(options.plugins ?? []), notes] }).catch(() => null);
  return [...files];
}
