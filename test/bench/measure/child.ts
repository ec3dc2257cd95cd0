/**
 * A process of the benchmark's own: it runs blocks when it is told to, and ends with whoever
 * started it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

/** The figures of one block of calls. */
export interface Block {
  latenciesMs: number[];
  /** From the first call's start to the last one's end. */
  elapsedMs: number;
}

/** A block ends when the time is over, or `calls` were made. */
export interface BlockLength {
  durationMs?: number;
  calls?: number;
}

/** So many calls at once. */
export interface BlockRequest extends BlockLength {
  /** Where to; what it means is the child's business. */
  target: string;
  inFlight: number;
}

/**
 * How long a child may take beyond the time of a block, or to start: calls that are answered at all
 * take less.
 */
const PATIENCE_MS = 60_000;

type Answer = { ready: unknown } | { block: Block; of: number } | { error: string; of: number };

/**
 * A request, and its number: the answer to one that was given up must not be taken for that to the
 * next.
 */
type Numbered = BlockRequest & { number: number };

export class BenchChild {
  readonly #child: ChildProcess;
  /** What the child told when it was ready. */
  readonly facts: unknown;
  #requests = 0;

  private constructor(child: ChildProcess, facts: unknown) {
    this.#child = child;
    this.facts = facts;
  }

  /**
   * Starts a script of this folder in an empty environment; resolves when it says that it is ready.
   */
  static async start(script: string, ...args: string[]): Promise<BenchChild> {
    const child = spawn(process.execPath, [join(import.meta.dirname, script), ...args], {
      env: {},
      stdio: ["ignore", "inherit", "inherit", "ipc"],
      serialization: "advanced",
    });
    const answer = await answerOf(child, PATIENCE_MS, () => true);
    if (!("ready" in answer)) throw new Error(`${script} did not say that it is ready: ${JSON.stringify(answer)}`);
    return new BenchChild(child, answer.ready);
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** @throws Error when a call of the block failed, or was not answered */
  async run(request: BlockRequest): Promise<Block> {
    const number = this.#requests++;
    const isMine = (answer: Answer): boolean => "of" in answer && answer.of === number;
    const answered = answerOf(this.#child, (request.durationMs ?? 0) + PATIENCE_MS, isMine);
    this.#child.send({ ...request, number } satisfies Numbered);
    const answer = await answered;
    if (!("block" in answer)) throw new Error(`${this.#child.spawnargs[1]}: ${JSON.stringify(answer)}`);
    return answer.block;
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, "exit");
    this.#child.disconnect();
    await gone;
  }
}

/** The next answer that is one, or what kept it from coming. */
async function answerOf(child: ChildProcess, limitMs: number, isOne: (answer: Answer) => boolean): Promise<Answer> {
  const { promise, resolve } = Promise.withResolvers<Answer>();
  const fail = (error: string): void => resolve({ error, of: Number.NaN });
  const onMessage = (answer: Answer): void => {
    if (isOne(answer)) resolve(answer);
  };
  const onExit = (code: number | null, signal: string | null): void => fail(`it ended with ${code ?? signal}`);
  const timer = setTimeout(fail, limitMs, `no answer in ${limitMs} ms`);
  child.on("message", onMessage).on("exit", onExit);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    child.off("message", onMessage).off("exit", onExit);
  }
}

/**
 * The child's end: says that it is ready, runs blocks with `call`, and leaves through `close` when
 * its parent does.
 */
export function serveBlocks(parts: {
  facts?: unknown;
  /**
   * Opens so many lanes to the target, before the time of a block begins. What it gives closes them
   * again.
   */
  open?: (target: string, lanes: number) => Promise<() => void>;
  /** One call to the target in one of the lanes, which are numbered from 0. */
  call?: (target: string, lane: number) => Promise<void>;
  close: () => Promise<void>;
}): void {
  const { facts = null, open, call = () => Promise.reject(new Error("it takes no calls")), close } = parts;
  const run = async (request: BlockRequest): Promise<Block> => {
    const closeLanes = await open?.(request.target, request.inFlight);
    try {
      return await runBlock(request, call);
    } finally {
      closeLanes?.();
    }
  };
  process.on("message", (request: Numbered) => {
    run(request).then(
      (block) => process.send?.({ block, of: request.number }),
      (error: Error) => process.send?.({ error: error.message, of: request.number }),
    );
  });
  process.once("disconnect", () => void close().finally(() => process.exit()));
  process.send?.({ ready: facts });
}

async function runBlock(
  { target, inFlight, durationMs = Infinity, calls = Infinity }: BlockRequest,
  call: (target: string, lane: number) => Promise<void>,
): Promise<Block> {
  const latenciesMs: number[] = [];
  const startMs = performance.now();
  const deadlineMs = startMs + durationMs;
  let left = calls;
  const runLane = async (lane: number): Promise<void> => {
    while (left-- > 0) {
      const callStartMs = performance.now();
      if (callStartMs >= deadlineMs) return;
      await call(target, lane);
      latenciesMs.push(performance.now() - callStartMs);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, (_, lane) => runLane(lane)));
  return { latenciesMs, elapsedMs: performance.now() - startMs };
}
