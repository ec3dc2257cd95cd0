/** A bar on a terminal for what takes so long that somebody may wonder. */
import { formatBytes } from "../../../infra/std/bytes.ts";
import { CLEAR_LINE, type LineStream, QUIET_MS } from "./passing-line.ts";

const MOST_CELLS = 30;
/** Columns for the figures beside the bar. */
const FIGURES_COLUMNS = 36;

/** A bar of bytes. It must be ended. */
export class ProgressBar {
  readonly #stream: LineStream;
  #timer: NodeJS.Timeout | undefined;
  #line: string | null = null;
  #isVisible = false;

  /** @param quietMs how long nothing is shown. */
  constructor(stream: LineStream, quietMs = QUIET_MS) {
    this.#stream = stream;
    this.#timer = setTimeout(() => {
      this.#isVisible = true;
      this.#draw();
    }, quietMs);
  }

  /** Shows so much as done; all of it ends the bar. */
  show(doneBytes: number, ofBytes: number): void {
    if (doneBytes >= ofBytes) this.end();
    else this.#line = barLine(doneBytes, ofBytes, this.#stream.columns ?? 80);
    if (this.#isVisible) this.#draw();
  }

  /** Takes the bar away. Idempotent. */
  end(): void {
    clearTimeout(this.#timer);
    if (this.#isVisible && this.#line !== null) this.#stream.write(CLEAR_LINE);
    this.#line = null;
    this.#isVisible = false;
  }

  #draw(): void {
    if (this.#line !== null) this.#stream.write(`${CLEAR_LINE}${this.#line}`);
  }
}

function barLine(doneBytes: number, ofBytes: number, columns: number): string {
  const part = doneBytes / ofBytes;
  const cells = Math.max(0, Math.min(MOST_CELLS, columns - FIGURES_COLUMNS));
  const done = Math.floor(part * cells);
  const percent = `${Math.floor(part * 100)} %`.padStart(5);
  return `[${"#".repeat(done)}${"-".repeat(cells - done)}] ${percent}  ${formatBytes(doneBytes)} of ${formatBytes(ofBytes)}`;
}
