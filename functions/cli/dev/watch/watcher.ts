/**
 * Watches directories for changes of wanted paths. Directories and not files, as editors put a new
 * file in the place of the old one, and as a file may come that was not there. Packages that watch
 * whole trees see every file of node_modules; here a bundle names the few that matter.
 */
import { type FSWatcher, lstatSync, readdirSync, statSync, watch } from "node:fs";
import { join } from "node:path";
import type { WantedPaths } from "./wanted-paths.ts";

/** Pause between looks at directories that the kernel cannot watch. */
const POLL_MS = 300;
/** Coarseness of the times that the kernel gives files, and more. */
const SLACK_MS = 20;

interface Watched {
  /** Tells the directory from another one of the same name. */
  identity: string;
  /** null when the kernel has no watch left, or none for this file system. */
  watcher: FSWatcher | null;
  /** The wanted files in it as they were at the last look, when it must be looked at. */
  seen: string;
}

export interface WatcherOptions {
  /** @param path of what changed; null when the kernel did not say. */
  onChange(path: string | null): void;
  /** Told once, when directories must be looked at instead of watched. */
  onPolling(directory: string, reason: string): void;
}

export class Watcher {
  readonly #options: WatcherOptions;
  readonly #watched = new Map<string, Watched>();
  #wanted: WantedPaths | null = null;
  #poll: NodeJS.Timeout | undefined;

  constructor(options: WatcherOptions) {
    this.#options = options;
  }

  /** How many directories are watched. */
  get size(): number {
    return this.#watched.size;
  }

  /**
   * Watches these paths from now on, and no others. A change since that time in a directory that
   * was not watched yet is told as well.
   * @param sinceMs Unix time in milliseconds at which the wanted files began to be read.
   */
  watch(wanted: WantedPaths, sinceMs: number): void {
    this.#wanted = wanted;
    for (const [directory, watched] of this.#watched) {
      if (!wanted.directories.has(directory) || watched.identity !== identityOf(directory)) this.#forget(directory);
    }
    const added = [...wanted.directories].filter((directory) => this.#add(directory));
    const polled = [...this.#watched.values()].some(({ watcher }) => watcher === null);
    if (polled) this.#poll ??= setInterval(() => this.#look(), POLL_MS);
    if (added.some((directory) => this.#changedSince(directory, sinceMs - SLACK_MS))) this.#options.onChange(null);
  }

  close(): void {
    clearInterval(this.#poll);
    for (const directory of this.#watched.keys()) this.#forget(directory);
  }

  /** Whether the directory is there and was not watched before. */
  #add(directory: string): boolean {
    const identity = identityOf(directory);
    if (identity === null || this.#watched.has(directory)) return false;
    const watcher = this.#watcherOf(directory);
    this.#watched.set(directory, { identity, watcher, seen: watcher === null ? this.#seenIn(directory) : "" });
    return true;
  }

  #watcherOf(directory: string): FSWatcher | null {
    try {
      const watcher = watch(directory, (_event, name) => {
        // Without a name, something changed.
        if (name === null) this.#options.onChange(null);
        else if (this.#wanted?.has(directory, name)) this.#options.onChange(join(directory, name));
      });
      // A directory that is gone; what takes its place is seen in the one above.
      watcher.on("error", () => this.#forget(directory));
      return watcher;
    } catch (error) {
      if (this.#poll === undefined) this.#options.onPolling(directory, (error as NodeJS.ErrnoException).code ?? "");
      return null;
    }
  }

  #forget(directory: string): void {
    this.#watched.get(directory)?.watcher?.close();
    this.#watched.delete(directory);
  }

  #look(): void {
    let changed = false;
    for (const [directory, watched] of this.#watched) {
      if (watched.watcher !== null) continue;
      const seen = this.#seenIn(directory);
      changed ||= seen !== watched.seen;
      watched.seen = seen;
    }
    if (changed) this.#options.onChange(null);
  }

  #seenIn(directory: string): string {
    const facts = this.#wantedIn(directory).map(({ name, stat }) => [name, stat.ino, stat.size, stat.mtimeMs]);
    return JSON.stringify(facts);
  }

  #changedSince(directory: string, sinceMs: number): boolean {
    return this.#wantedIn(directory).some(({ stat }) => !stat.isDirectory() && stat.ctimeMs >= sinceMs);
  }

  #wantedIn(directory: string) {
    const names = attempt(() => readdirSync(directory)) ?? [];
    return names
      .filter((name) => this.#wanted?.has(directory, name))
      .flatMap((name) => {
        const stat = attempt(() => lstatSync(join(directory, name)));
        return stat === null ? [] : [{ name, stat }];
      });
  }
}

function identityOf(directory: string): string | null {
  const stat = attempt(() => statSync(directory));
  return stat?.isDirectory() ? `${stat.dev}:${stat.ino}:${stat.birthtimeMs}` : null;
}

/** Files come and go while they are looked at. */
function attempt<T>(look: () => T): T | null {
  try {
    return look();
  } catch {
    return null;
  }
}
