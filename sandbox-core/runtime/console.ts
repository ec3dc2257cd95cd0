/** console, process.stdout and process.stderr become log records. */
import { Console } from "node:console";
import { Writable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import type { LogLevel } from "../protocol/frames.ts";
import type { LogWriter } from "./log.ts";

type Methods = Record<string, unknown>;

/** Methods that are not at the level "info". */
const LEVELS: Record<string, LogLevel> = {
  debug: "debug",
  warn: "warn",
  assert: "warn",
  error: "error",
  trace: "error",
};

/** A partial line longer than this is written without waiting for its end. */
const MAX_PARTIAL_LINE_LENGTH = 16 * 1024;

/**
 * Makes every method of the global console write records. Formats, groups, tables, counters and
 * timers are Node's own: the work is done by a Console over a stream that catches what is written.
 * `map` may rewrite a text before it is written: it maps the positions of a stack.
 */
export function captureConsole(target: Console, log: LogWriter, map: (text: string) => string): void {
  let level: LogLevel = "info";
  const sink = {
    write(text: string): boolean {
      log.write(level, "console", map(text.endsWith("\n") ? text.slice(0, -1) : text));
      return true;
    },
  };
  // ignoreErrors: false keeps the Console from adding and removing an error listener with every
  // write.
  const inner = new Console({
    stdout: sink as Writable,
    stderr: sink as Writable,
    ignoreErrors: false,
    colorMode: false,
  });
  const methods = inner as unknown as Methods;
  for (const name of Object.keys(methods)) {
    const method = methods[name];
    if (typeof method !== "function" || name === "Console") continue;
    const methodLevel = LEVELS[name] ?? "info";
    const write = {
      [name](...args: unknown[]) {
        const outer = level;
        level = methodLevel;
        try {
          return method.apply(inner, args);
        } finally {
          level = outer;
        }
      },
    }[name];
    (target as unknown as Methods)[name] = write;
  }
}

/**
 * A stand-in for process.stdout or process.stderr: a record for each line, rewritten by `map`. What
 * threads write comes here as well, with their stacks.
 */
export class LineStream extends Writable {
  readonly #log: LogWriter;
  readonly #source: "stdout" | "stderr";
  readonly #map: (text: string) => string;
  readonly #decoder = new StringDecoder("utf8");
  #partial = "";
  readonly fd: number;

  constructor(log: LogWriter, source: "stdout" | "stderr", map: (text: string) => string) {
    super({ decodeStrings: false });
    this.#log = log;
    this.#map = map;
    this.#source = source;
    this.fd = source === "stdout" ? 1 : 2;
  }

  override _write(chunk: Buffer | string, _encoding: BufferEncoding, done: () => void): void {
    const text = this.#partial + (typeof chunk === "string" ? chunk : this.#decoder.write(chunk));
    const end = text.lastIndexOf("\n");
    this.#partial = text.slice(end + 1);
    if (end >= 0) for (const line of text.slice(0, end).split("\n")) this.#emitLine(line);
    if (this.#partial.length > MAX_PARTIAL_LINE_LENGTH) this.flush();
    done();
  }

  /** Writes out a line that has no end yet. */
  flush(): void {
    if (this.#partial === "") return;
    const line = this.#partial;
    this.#partial = "";
    this.#emitLine(line);
  }

  /** The stream is never closed: a library that ends stdout must not silence later output. */
  override end(...args: unknown[]): this {
    if (typeof args[0] === "string" || args[0] instanceof Uint8Array) this.write(args[0]);
    return this;
  }

  override _destroy(_error: Error | null, done: (error?: Error | null) => void): void {
    done(null);
  }

  #emitLine(line: string): void {
    const mapped = this.#map(line);
    // A frame of the runtime's own is nothing by then.
    if (mapped !== "" || line === "")
      this.#log.write(this.#source === "stdout" ? "info" : "error", this.#source, mapped);
  }
}
