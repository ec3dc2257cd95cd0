/** Boxes, and JavaScript sandboxes, beside the same command under other programs that isolate. */

import { Box, Zygote } from "../../../sandbox-core/index.ts";
import { childrenOf } from "../../helpers/platform.ts";
import { openTestLauncher, SandboxClient } from "../../helpers/sandbox-client.ts";
import { inTurn, sequence } from "../measure/blocks.ts";
import { countKernelObjects, type KernelObjects } from "../measure/kernel-objects.ts";
import { Sheet } from "../measure/sheet.ts";
import { Samples } from "../measure/stats.ts";
import { type Engine, findEngines, NODE, TRUE } from "../peers/engines.ts";
import type { Plan } from "../run/plan.ts";
import type { Suite, Unit } from "../run/suite.ts";

const LANES = 2;
/** Growth is told for so many boxes. */
const PER_BOXES = 1_000;
const suite = "box";
const BOX = "/bin/true in a box";
const FORK = "JavaScript sandbox, created";

export async function openBoxSuite(plan: Plan): Promise<Suite> {
  const { engines, missing } = await findEngines();
  const zygote = await Zygote.open();
  const zygotePid = childrenOf(process.pid).at(-1) as number;
  const launcher = await openTestLauncher();
  const samples = new Map<string, Samples>();
  const sustained = new Sustained(plan, zygotePid, () => boxMs(zygote));
  let rounds = 0;

  const measure = (name: string, one: () => Promise<number>) => async (counts: boolean) => {
    const values = await sequence(plan.boxesPerRound, one);
    if (counts) samplesOf(samples, name).addRound(values);
  };
  const contenders = [
    measure(BOX, () => boxMs(zygote)),
    measure(FORK, async () => {
      const startMs = performance.now();
      await using _client = await SandboxClient.blank(launcher);
      return performance.now() - startMs;
    }),
    ...engines.flatMap((engine) => [
      measure(rowName(engine, TRUE), () => engine.run(TRUE)),
      measure(rowName(engine, NODE), () => engine.run(NODE)),
    ]),
  ];
  return {
    async round(counts) {
      await inTurn(
        rounds++,
        contenders.map((contender) => () => contender(counts)),
      );
    },
    finish: () => sustained.run(),
    results() {
      const sheet = new Sheet(suite);
      for (const [name, reason] of missing) sheet.missing(name, reason);
      for (const [name, values] of samples) {
        const chart = name.startsWith("/bin/true") ? "/bin/true, isolated" : "Node, isolated";
        sheet.row(name, "ms", values, { chart, peer: name !== BOX && name !== FORK });
      }
      for (const engine of engines) {
        const of = (name: string) => samplesOf(samples, name);
        sheet.ratio(`${BOX} / under ${engine.name}`, "ms", [of(BOX), of(rowName(engine, TRUE))]);
        const nodeName = rowName(engine, NODE);
        sheet.ratio(`${nodeName} / ${FORK}`, "ms", [of(nodeName), of(FORK)]);
      }
      sustained.write(sheet);
      return sheet.results;
    },
    async close() {
      await zygote.close();
      await launcher.close();
    },
  };
}

/** From the wish for a box until its command has ended and nothing of it is left. */
async function boxMs(zygote: Zygote): Promise<number> {
  const startMs = performance.now();
  const box = await Box.start(zygote, { argv: TRUE.argv });
  const { code } = await box.ended;
  const endMs = performance.now();
  if (code !== 0) throw new Error(`/bin/true ended with ${code}`);
  for (const stream of [box.stdout, box.stderr]) stream.destroy();
  return endMs - startMs;
}

function rowName({ name }: Engine, { argv }: typeof TRUE): string {
  return argv === TRUE.argv ? `/bin/true under ${name}` : `node -e 0 under ${name}`;
}

function samplesOf(all: Map<string, Samples>, name: string): Samples {
  const samples = all.get(name) ?? new Samples();
  all.set(name, samples);
  return samples;
}

const COUNTED: Record<keyof KernelObjects, { name: string; unit: Unit }> = {
  zygoteMiB: { name: "memory of the zygote", unit: "MiB" },
  slabMiB: { name: "slab of the kernel", unit: "MiB" },
  groups: { name: "control groups", unit: "objects" },
  networkNamespaces: { name: "network namespaces", unit: "objects" },
  mounts: { name: "mounts of the zygote", unit: "objects" },
};
interface Window {
  latenciesMs: number[];
  perSecond: number;
  objects: KernelObjects;
}

/** One after the other in two lanes, for long, cut into windows. */
class Sustained {
  readonly #plan: Plan;
  readonly #zygotePid: number;
  readonly #one: () => Promise<number>;
  readonly #windows: Window[] = [];

  constructor(plan: Plan, zygotePid: number, one: () => Promise<number>) {
    this.#plan = plan;
    this.#zygotePid = zygotePid;
    this.#one = one;
  }

  async run(): Promise<void> {
    const windowMs = this.#plan.sustainedMs / this.#plan.sustainedWindows;
    for (let window = 0; window < this.#plan.sustainedWindows; window++) {
      const latenciesMs: number[] = [];
      const startMs = performance.now();
      const lane = async () => {
        do latenciesMs.push(await this.#one());
        while (performance.now() - startMs < windowMs);
      };
      await Promise.all(Array.from({ length: LANES }, lane));
      const perSecond = (latenciesMs.length / (performance.now() - startMs)) * 1_000;
      this.#windows.push({ latenciesMs, perSecond, objects: countKernelObjects(this.#zygotePid) });
    }
  }

  write(sheet: Sheet): void {
    const chart = `sustained, ${LANES} lanes`;
    const row = (name: string, unit: Unit, values: (window: Window) => number[]) =>
      sheet.row(`${chart}: ${name}`, unit, samplesIn(this.#windows, values), { chart, label: name });
    row("boxes", "per s", ({ perSecond }) => [perSecond]);
    row("time of a box", "ms", timesOf);
    const half = this.#windows.length >> 1;
    // Short enough for one step, as of a heap that gets its next size, to be in less than half of
    // what is compared.
    const lag = Math.max(1, this.#windows.length >> 2);
    const [first, second] = [this.#windows.slice(0, half), this.#windows.slice(-half)];
    sheet.ratio("time of a box, second half / first half", "ms", [
      samplesIn(second, timesOf),
      samplesIn(first, timesOf),
    ]);
    for (const [key, { name, unit }] of Object.entries(COUNTED)) {
      const count = ({ objects }: Window) => objects[key as keyof KernelObjects];
      row(name, unit, (window) => [count(window)]);
      const growth = samplesIn(this.#windows.slice(lag), (_, index) => this.#growth(index, index + lag, count));
      sheet.row(`growth of ${name} in 1,000 boxes`, unit, growth, { chart: "growth in 1,000 boxes", label: name });
    }
  }

  /**
   * By how much a count grew from the end of one window to that of another, if there were boxes
   * enough to say so.
   */
  #growth(from: number, to: number, count: (window: Window) => number): number[] {
    const [start, end] = [this.#windows[from] as Window, this.#windows[to] as Window];
    const boxes = this.#windows.slice(from + 1, to + 1).reduce((sum, { latenciesMs }) => sum + latenciesMs.length, 0);
    return boxes < this.#plan.growthBoxes ? [] : [((count(end) - count(start)) / boxes) * PER_BOXES];
  }
}

const timesOf = ({ latenciesMs }: Window) => latenciesMs;

function samplesIn(windows: readonly Window[], values: (window: Window, index: number) => number[]): Samples {
  const samples = new Samples();
  windows.forEach((window, index) => {
    samples.addRound(values(window, index));
  });
  return samples;
}
