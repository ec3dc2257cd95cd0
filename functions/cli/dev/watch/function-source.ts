/** The function as its files are now: configuration and upload, and where to look for changes. */
import { createHash } from "node:crypto";
import { join, resolve } from "node:path";
import type { FunctionConfig } from "../../../model/manifest.ts";
import { loadConfig } from "../../config/config-file.ts";
import { CONFIG_FILE } from "../../config/file-names.ts";
import { entryFile } from "../../config/function-directory.ts";
import { collectUpload, type Upload } from "../../upload/upload.ts";
import { IncrementalBundle } from "./incremental-bundle.ts";
import { WantedPaths, type WantedSources } from "./wanted-paths.ts";

/** A function that can be deployed. */
export interface ReadFunction {
  config: FunctionConfig;
  upload: Upload;
  /** Equal for equal configurations and files. */
  digest: string;
}

const TERMINAL_COLUMNS = 100;

export class FunctionSource {
  readonly #directory: string;
  readonly #bundle = new IncrementalBundle();
  #sources: WantedSources;

  /** @param directory the function's, free of symbolic links. */
  constructor(directory: string) {
    this.#directory = directory;
    this.#sources = { directory, files: [join(directory, CONFIG_FILE)], imports: [], unresolved: [], include: [] };
  }

  /** Paths that are to be watched, by all that is known after the last `read`. */
  get wanted(): WantedPaths {
    return new WantedPaths(this.#sources);
  }

  /**
   * Reads the function anew.
   * @throws CliError of kind `config` or `build`, as `sandpiper deploy` does
   */
  async read(): Promise<ReadFunction> {
    await this.#bundle.begin();
    try {
      const loaded = await loadConfig(this.#directory, this.#directory);
      // Before it is looked for, as it may come later.
      this.#add([resolve(this.#directory, loaded.config.entry)]);
      this.#sources = { ...this.#sources, include: loaded.config.include ?? [] };
      const entry = entryFile(this.#directory, loaded);
      const format = { color: false, terminalWidth: TERMINAL_COLUMNS };
      const settings = { ...loaded.config, wrongField: loaded.wrongField, esbuild: this.#bundle.bundle };
      const upload = await collectUpload(this.#directory, entry, format, settings);
      this.#found(upload);
      return { config: loaded.config, upload, digest: digestOf(loaded.config, upload) };
    } catch (error) {
      const failed = await this.#bundle.failed();
      if (failed !== null) this.#add(failed.files, failed.unresolved);
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#bundle.dispose();
  }

  #found({ root, files, imports }: Upload): void {
    const all = [join(this.#directory, CONFIG_FILE), ...files.map(({ path }) => join(root, path))];
    this.#sources = { ...this.#sources, files: all, imports, unresolved: [] };
  }

  /** While nothing can be built, what was in the last bundle may still be what mends it. */
  #add(files: readonly string[], unresolved: WantedSources["unresolved"] = []): void {
    const all = [...new Set([...this.#sources.files, ...files])];
    this.#sources = { ...this.#sources, files: all, unresolved };
  }
}

function digestOf(config: FunctionConfig, { entry, directory, included, files }: Upload): string {
  const hash = createHash("sha256").update(JSON.stringify([config, entry, directory, included]));
  for (const { path, bytes } of files) hash.update(`\0${path}\0${bytes.byteLength}\0`).update(bytes);
  return hash.digest("hex");
}
