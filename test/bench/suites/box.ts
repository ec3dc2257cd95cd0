/** Boxes, and JavaScript sandboxes, beside the same command under other programs that isolate. */
import { Box, Zygote } from "../../../sandbox-core/index.ts";
import { childrenOf } from "../../helpers/platform.ts";
import { openTestLauncher, SandboxClient } from "../../helpers/sandbox-client.ts";
import { inTurn, sequence } from "../blocks.ts";
import { type Engine, findEngines, NODE, TRUE } from "../engines.ts";
import { countKernelObjects, type KernelObjects } from "../kernel-objects.ts";
import type { Plan } from "../plan.ts";
import { ratioOf, Samples } from "../stats.ts";
import { judged, type Ratio, type Row, type Suite, type Unit } from "../suite.ts";

const LANES = 2;
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
    results: () => ({
      rows: [
        ...[...samples].map(([name, of]): Row => ({ suite, name, unit: "ms", ...of.summary() })),
        ...sustained.rows(),
      ],
      ratios: [...engines.flatMap((engine) => ratiosTo(engine, samples)), ...sustained.ratios()],
      costs: [],
      notes: missing,
    }),
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

function ratiosTo(engine: Engine, samples: Map<string, Samples>): Ratio[] {
  const of = (name: string) => samplesOf(samples, name);
  return [
    judged({
      suite,
      name: `${BOX} / under ${engine.name}`,
      ...ratioOf(of(BOX), of(rowName(engine, TRUE))),
      target: engine.name === "bwrap" ? { bound: "at most", value: 1 } : null,
    }),
    judged({
      suite,
      name: `node -e 0 under ${engine.name} / ${FORK}`,
      ...ratioOf(of(rowName(engine, NODE)), of(FORK)),
      target: { bound: "at least", value: 6 },
    }),
  ];
}

const COUNTED: Record<keyof KernelObjects, { name: string; unit: Unit }> = {
  zygoteMiB: { name: "memory of the zygote", unit: "MiB" },
  slabMiB: { name: "slab of the kernel", unit: "MiB" },
  groups: { name: "control groups", unit: "objects" },
  networkNamespaces: { name: "network namespaces", unit: "objects" },
  mounts: { name: "mounts of the zygote", unit: "objects" },
};
/** Growth that is none: what the rest of the machine does moves the counts too. */
const NO_GROWTH = { bound: "at most", value: 1.2 } as const;

interface Window {
  latenciesMs: number[];
  perSecond: number;
  objects: KernelObjects;
}

/** One after the other in two lanes, for long, cut into as many windows as there are rounds. */
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
    const windowMs = this.#plan.sustainedMs / this.#plan.rounds;
    for (let window = 0; window < this.#plan.rounds; window++) {
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

  rows(): Row[] {
    const row = (name: string, unit: Unit, values: (window: Window) => number[]): Row => {
      const samples = new Samples();
      for (const window of this.#windows) samples.addRound(values(window));
      return { suite, name: `sustained, ${LANES} lanes: ${name}`, unit, ...samples.summary() };
    };
    return [
      row("boxes", "per s", ({ perSecond }) => [perSecond]),
      row("time of a box", "ms", ({ latenciesMs }) => latenciesMs),
      ...Object.entries(COUNTED).map(([key, { name, unit }]) =>
        row(name, unit, ({ objects }) => [objects[key as keyof KernelObjects]]),
      ),
    ];
  }

  /** The second half of the time over the first. */
  ratios(): Ratio[] {
    const ratio = (name: string, values: (window: Window) => number[]): Ratio => {
      const [first, second] = [new Samples(), new Samples()];
      const half = this.#windows.length >> 1;
      for (const window of this.#windows.slice(0, half)) first.addRound(values(window));
      for (const window of this.#windows.slice(-half)) second.addRound(values(window));
      return judged({ suite, name: `${name}, second half / first half`, ...ratioOf(second, first), target: NO_GROWTH });
    };
    return [
      ratio("time of a box", ({ latenciesMs }) => latenciesMs),
      ...Object.entries(COUNTED).map(([key, { name }]) =>
        ratio(name, ({ objects }) => [objects[key as keyof KernelObjects]]),
      ),
    ];
  }
}
