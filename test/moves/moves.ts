/**
 * Deployments and rollbacks of one function while many callers call it: which calls failed, and
 * which answers are of a version that was not live at any moment of their call.
 */

/** A function as the one who moves it and its callers see it; each version has a name. */
export interface MovedFunction {
  /** Deploys the version of this number; resolves with its name when it is live. */
  deploy(number: number): Promise<string>;
  /** Goes back to the version before; resolves with its name when that is live. */
  rollback(): Promise<string>;
  /** Calls the function; resolves with the version that answered, rejects when the call failed. */
  call(): Promise<string>;
}

/** A version, and when: moves begin and end at a step, so that no clock decides. */
interface Seen {
  version: string;
  from: number;
  to: number;
}

export interface MovesResult {
  moves: number;
  calls: number;
  /** How calls failed, in words. */
  failures: string[];
  /** Answers of versions that were not live while they were called. */
  wrong: Seen[];
  /** How many versions answered. */
  versions: number;
}

export interface MovesOptions {
  moves: number;
  callers: number;
  /** Told after each move. */
  onMove?: (done: Pick<MovesResult, "moves" | "calls" | "failures">) => void | Promise<void>;
}

/**
 * Deploys version 0, and moves then `moves` times, a deployment and a rollback in turns, under so
 * many callers who call again after each answer.
 * @throws what a move throws
 */
export async function moveUnderCalls(
  its: MovedFunction,
  { moves, callers, onMove = () => {} }: MovesOptions,
): Promise<MovesResult> {
  /** Each version that was live, from the step that began its move to the one that saw its end. */
  const lives: Seen[] = [{ version: await its.deploy(0), from: 0, to: Number.POSITIVE_INFINITY }];
  const answers: Seen[] = [];
  const failures: string[] = [];
  let [step, isOver] = [0, false];
  const call = async () => {
    while (!isOver) {
      const from = step;
      await its.call().then(
        (version) => answers.push({ version, from, to: step }),
        (error: Error) => failures.push(error.message),
      );
    }
  };
  const move = async () => {
    for (let number = 1; number <= moves; number++) {
      const from = ++step;
      const version = await (number % 2 === 1 ? its.deploy(number) : its.rollback());
      for (const life of lives.slice(-1)) life.to = ++step;
      lives.push({ version, from, to: Number.POSITIVE_INFINITY });
      await onMove({ moves: number, calls: answers.length + failures.length, failures });
    }
  };
  const moving = move().finally(() => {
    isOver = true;
  });
  await Promise.all([moving, ...Array.from({ length: callers }, call)]);
  return {
    moves,
    calls: answers.length + failures.length,
    failures,
    wrong: answers.filter((answer) => !lives.some((life) => covers(life, answer))),
    versions: new Set(answers.map(({ version }) => version)).size,
  };
}

/** Whether a version was live at some moment of the call that it answered. */
function covers(life: Seen, answer: Seen): boolean {
  return life.version === answer.version && life.from <= answer.to && life.to >= answer.from;
}
