/** How often each call ran, by the notes of all workers that there were (notes-module.ts). */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Execution {
  /** The worker's process. */
  pid: number;
  /** When it began, by `monotonicMs` and the function itself. */
  atMs: number;
}

export class Executions {
  readonly #directory = mkdtempSync(join(tmpdir(), "sp-notes-"));

  /** The module that a worker has to load. @param root directory that the worker's code is in */
  moduleUrl(worker: { root: string; ending: string }): string {
    const url = new URL("./notes-module.ts", import.meta.url);
    url.searchParams.set("log", `file://${join(worker.root, "worker/outcome/call-log")}${worker.ending}`);
    url.searchParams.set("directory", this.#directory);
    return url.href;
  }

  /** All executions so far, by the call's id. */
  read(): Map<string, Execution[]> {
    const found = new Map<string, Execution[]>();
    for (const name of readdirSync(this.#directory)) {
      const lines = readFileSync(join(this.#directory, name), "utf8").split("\n").filter(Boolean);
      for (const [id = "", atMs] of lines.map((line) => line.split(" "))) {
        found.set(id, [...(found.get(id) ?? []), { pid: Number(name), atMs: Number(atMs) }]);
      }
    }
    return found;
  }

  close(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
