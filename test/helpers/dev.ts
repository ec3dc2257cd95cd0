/** `sandpiper dev` as a process, and what it tells. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { renameSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { startCli } from "./cli.ts";
import type { Platform } from "./platform.ts";

/** One line of `--json`. */
export type DevEvent = Record<string, unknown> & { event: string };

export interface DevOptions {
  config?: Record<string, unknown>;
  nodeArguments?: string[];
}

export class Dev {
  readonly directory: string;
  readonly child: ChildProcess;
  readonly events: DevEvent[] = [];
  readonly exited: Promise<unknown[]>;
  stderr = "";
  #at = 0;
  #wake = () => {};
  #over = false;

  private constructor(directory: string, child: ChildProcess) {
    this.directory = directory;
    this.child = child;
    this.exited = once(child, "close").finally(() => {
      this.#over = true;
      this.#wake();
    });
    child.stderr?.on("data", (text: Buffer) => {
      this.stderr += text;
    });
    if (!child.stdout) throw new Error("the child has no output");
    createInterface(child.stdout).on("line", (line) => {
      this.events.push(JSON.parse(line));
      this.#wake();
    });
  }

  /** Writes the files into a new directory below `base`; resolves when it is started. */
  static async start(
    platform: Platform,
    base: string,
    name: string,
    files: Record<string, string>,
    { config = {}, nodeArguments = [] }: DevOptions = {},
  ): Promise<Dev> {
    const directory = join(base, name);
    const all = { ...files, "sandpiper.jsonc": JSON.stringify({ name, ...config }) };
    for (const [path, text] of Object.entries(all)) {
      await mkdir(dirname(join(directory, path)), { recursive: true });
      writeFileSync(join(directory, path), text);
    }
    return Dev.open(platform, directory, nodeArguments);
  }

  /** Starts in a directory that is there; resolves when it is started. */
  static async open(platform: Platform, directory: string, nodeArguments: string[] = []): Promise<Dev> {
    const env = { SANDPIPER_URL: platform.url, SANDPIPER_API_KEY: platform.apiKey };
    const dev = new Dev(
      directory,
      startCli(["dev", directory, "--json", "--port", "0"], { cwd: directory, env, nodeArguments }),
    );
    await dev.next("started");
    dev.#at = 0;
    return dev;
  }

  get url(): string {
    const { port } = new URL(String(this.events.find(({ event }) => event === "started")?.url));
    // Not every resolver knows names below localhost.
    return `http://127.0.0.1:${port}`;
  }

  get name(): string {
    return String(this.events.find(({ event }) => event === "started")?.name);
  }

  /**
   * Writes as most editors do: a new file takes the old one's place, so that nobody reads a part.
   */
  write(path: string, text: string): void {
    const file = join(this.directory, path);
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  }

  /** Has changes come at one moment, however busy the machine is: it sees them all at its end. */
  atOnce(change: () => void): void {
    this.child.kill("SIGSTOP");
    change();
    this.child.kill("SIGCONT");
  }

  /** Resolves with the next event of that kind that was not given yet. */
  async next<T = DevEvent>(event: string): Promise<T> {
    for (;;) {
      for (; this.#at < this.events.length; this.#at++) {
        const found = this.events[this.#at];
        if (found?.event !== event) continue;
        this.#at++;
        return found as T;
      }
      if (this.#over) throw new Error(`it ended without telling of ${event}:\n${this.stderr}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  count(event: string): number {
    return this.events.filter((one) => one.event === event).length;
  }

  async text(path = "/", headers: Record<string, string> = {}): Promise<string> {
    return await (await fetch(this.url + path, { headers })).text();
  }

  /** Ctrl-C; gives exit code and signal. */
  async stop(): Promise<unknown[]> {
    this.child.kill("SIGINT");
    return await this.exited;
  }
}
