/**
 * Making sandboxes: from the wish for one until its runtime says `ready`, against starting other
 * things that isolate, and against what nothing that isolates can do without. Then the same among
 * many sandboxes that live.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ZygoteLauncher } from "../../../sandbox-core/launcher/launcher.ts";
import { childrenOf } from "../../helpers/platform.ts";
import { openTestLauncher, SandboxClient } from "../../helpers/sandbox-client.ts";
import { tempDir } from "../../helpers/temp-dir.ts";
import { inTurn, perSecond, sequence } from "../measure/blocks.ts";
import { BenchChild } from "../measure/child.ts";
import { compileCloneFloor } from "../measure/clone-floor.ts";
import { CreationCounts } from "../measure/creation-counts.ts";
import { Ledger } from "../measure/ledger.ts";
import { nodeStartMs, runMs } from "../measure/programs.ts";
import { Sheet } from "../measure/sheet.ts";
import { Samples } from "../measure/stats.ts";
import { findEngines, NODE, TRUE } from "../peers/engines.ts";
import type { Peers } from "../peers/peers.ts";
import { DENO } from "../peers/servers.ts";
import type { Plan } from "../run/plan.ts";
import type { Suite } from "../run/suite.ts";

const LANES = 2;
const suite = "sandbox";
const FLOOR = "node -e 0";
const RUNS_NODE = ["bwrap", "crun", "runc"];

/** Something that is made, or started and ended, so many times one after the other. */
interface Maker {
  name: string;
  make(count: number): Promise<number[]>;
}

export async function openSandboxSuite(plan: Plan, peers: Peers): Promise<Suite> {
  await using started = new AsyncDisposableStack();
  const sheet = new Sheet(suite);
  const launcher = await openTestLauncher();
  started.defer(() => launcher.close());
  const zygotePid = childrenOf(process.pid).at(-1) as number;
  const makers = await findMakers(peers, sheet, started);
  const ours = new Ours(launcher, zygotePid);
  const counted = new CreationCounts(launcher, zygotePid);
  const floor = { one: new Samples(), rate: new Samples() };
  const others = new Map(makers.map(({ name }) => [name, new Samples()]));
  const live = new Live(launcher, zygotePid, plan);
  const opened = started.move();
  let rounds = 0;
  return {
    async round(counts) {
      const { sandboxesPerRound, sustainedPerRound } = plan;
      const add = (samples: Samples | undefined, values: readonly number[]): void => {
        if (counts) samples?.addRound(values);
      };
      await inTurn(rounds++, [
        () => ours.block(sandboxesPerRound, counts),
        () => counted.block(sandboxesPerRound, counts),
        async () => add(floor.one, await sequence(sandboxesPerRound, nodeStartMs)),
        async () => add(ours.rate, [await perSecond(sustainedPerRound, LANES, () => ours.one())]),
        async () => add(floor.rate, [await perSecond(sustainedPerRound, LANES, nodeStartMs)]),
        ...makers.map(
          ({ name, make }) =>
            async () =>
              add(others.get(name), await make(sandboxesPerRound)),
        ),
      ]);
    },
    async finish() {
      await live.run();
      const missing = (error: Error) => void sheet.missing("the number of system calls", error.message);
      await counted.trace(plan.sandboxesPerRound).catch(missing);
    },
    results() {
      const style = { chart: "making one" };
      sheet
        .cost("creation and teardown", ours.ledger)
        .row("creation, one after the other", "ms", ours.creation, style)
        .row("teardown", "ms", ours.teardown, { chart: "among others" })
        .row(FLOOR, "ms", floor.one, { ...style, peer: true });
      for (const [name, samples] of others) sheet.row(name, "ms", samples, { ...style, peer: true });
      sheet
        .row("creation and teardown, 2 lanes", "per s", ours.rate, { chart: "2 lanes" })
        .row("node -e 0, 2 lanes", "per s", floor.rate, { chart: "2 lanes", peer: true })
        .ratio("creation / node -e 0", "ms", [ours.creation, floor.one])
        .ratio("rate in 2 lanes / node -e 0", "per s", [ours.rate, floor.rate]);
      for (const [name, samples] of others) sheet.ratio(`creation / ${name}`, "ms", [ours.creation, samples]);
      counted.write(sheet);
      live.write(sheet);
      return sheet.results;
    },
    close: () => opened.disposeAsync(),
  };
}

/** Sandboxes of one launcher, made and ended. */
class Ours {
  readonly creation = new Samples();
  readonly teardown = new Samples();
  readonly rate = new Samples();
  readonly ledger: Ledger;
  readonly #launcher: ZygoteLauncher;

  constructor(launcher: ZygoteLauncher, zygotePid: number) {
    this.#launcher = launcher;
    // What sandboxes used is the zygote's when it has collected them.
    const processes = () => ({ launcher: [process.pid], "zygote and sandboxes": [zygotePid] });
    this.ledger = new Ledger({ redis: null, processes });
  }

  async one(): Promise<{ createdMs: number; endedMs: number }> {
    const startMs = performance.now();
    const client = await SandboxClient.blank(this.#launcher);
    const readyMs = performance.now();
    await client[Symbol.asyncDispose]();
    return { createdMs: readyMs - startMs, endedMs: performance.now() - readyMs };
  }

  async block(count: number, counts: boolean): Promise<void> {
    const endedMs: number[] = [];
    const createdMs: number[] = [];
    const make = async (): Promise<number> => {
      for (let index = 0; index < count; index++) {
        const made = await this.one();
        createdMs.push(made.createdMs);
        endedMs.push(made.endedMs);
      }
      return count;
    };
    if (!counts) return void (await make());
    await this.ledger.during(make);
    this.creation.addRound(createdMs);
    this.teardown.addRound(endedMs);
  }
}

/** The same while many others live, with the floor beside it. */
class Live {
  readonly #launcher: ZygoteLauncher;
  readonly #zygotePid: number;
  readonly #plan: Plan;
  readonly #levels: { count: number; ours: Ours; floor: Samples }[] = [];

  constructor(launcher: ZygoteLauncher, zygotePid: number, plan: Plan) {
    this.#launcher = launcher;
    this.#zygotePid = zygotePid;
    this.#plan = plan;
  }

  async run(): Promise<void> {
    const alive: SandboxClient[] = [];
    // As in a worker with many: a zygote has user ids for a thousand, and some must be left for
    // those that are measured.
    const second = await openTestLauncher();
    const launchers = [this.#launcher, second];
    let next = 0;
    try {
      for (const count of this.#plan.live.counts) {
        await perSecond(count - alive.length, LANES, async () => {
          alive.push(await SandboxClient.blank(launchers[next++ % launchers.length] as ZygoteLauncher));
        });
        await this.#measure(count);
      }
    } finally {
      for (const client of alive) client.sandbox.kill("the level is measured");
      await Promise.all(alive.map(({ sandbox }) => sandbox.exited));
      await second.close();
    }
  }

  async #measure(count: number): Promise<void> {
    const { live, sandboxesPerRound, sustainedPerRound } = this.#plan;
    const level = { count, ours: new Ours(this.#launcher, this.#zygotePid), floor: new Samples() };
    this.#levels.push(level);
    for (let round = 0; round < live.rounds; round++) {
      await inTurn(round, [
        () => level.ours.block(sandboxesPerRound, true),
        async () => level.floor.addRound(await sequence(sandboxesPerRound, nodeStartMs)),
        async () => level.ours.rate.addRound([await perSecond(sustainedPerRound, LANES, () => level.ours.one())]),
      ]);
    }
  }

  write(sheet: Sheet): void {
    for (const { count, ours, floor } of this.#levels) {
      const among = `${count} live`;
      sheet
        .cost(`creation and teardown, ${among}`, ours.ledger)
        .row(`creation, ${among}`, "ms", ours.creation, { chart: "among others" })
        .row(`teardown, ${among}`, "ms", ours.teardown, { chart: "among others" })
        .row(`node -e 0, ${among}`, "ms", floor, { chart: "among others", peer: true })
        .row(`creation and teardown, 2 lanes, ${among}`, "per s", ours.rate, { chart: "2 lanes", label: among })
        .ratio(`creation / node -e 0, ${among}`, "ms", [ours.creation, floor]);
    }
  }
}

/** What sandboxes are compared with, as far as this machine has it. */
async function findMakers(peers: Peers, sheet: Sheet, started: AsyncDisposableStack): Promise<Maker[]> {
  const { engines, missing } = await findEngines();
  for (const [name, reason] of missing) if (RUNS_NODE.includes(name)) sheet.missing(`${name} node`, reason);
  const makers: Maker[] = engines
    .filter(({ name }) => RUNS_NODE.includes(name))
    .flatMap((engine) => [
      ...(engine.name === "bwrap"
        ? [{ name: "bwrap true", make: (count: number) => sequence(count, () => engine.run(TRUE)) }]
        : []),
      { name: `${engine.name} node`, make: (count: number) => sequence(count, () => engine.run(NODE)) },
    ]);
  const optional: [name: string, open: () => Promise<Maker["make"]>][] = [
    ["deno run", () => openDeno(peers)],
    ["an isolate of isolated-vm", () => openIsolatedVm(peers, started)],
    ["clone with six namespaces", () => compileCloneFloor()],
  ];
  for (const [name, open] of optional) {
    try {
      makers.push({ name, make: await open() });
    } catch (error) {
      sheet.missing(name, (error as Error).message);
    }
  }
  return makers.map((maker) => guarded(maker, sheet));
}

/** Somebody else's program that fails is left out from then on, and the rest is measured. */
function guarded({ name, make }: Maker, sheet: Sheet): Maker {
  let usable = true;
  return {
    name,
    async make(count) {
      if (!usable) return [];
      try {
        return await make(count);
      } catch (error) {
        usable = false;
        sheet.missing(name, (error as Error).message);
        return [];
      }
    },
  };
}

async function openDeno(peers: Peers): Promise<Maker["make"]> {
  const program = join(await peers.find("deno"), DENO);
  const directory = tempDir();
  const script = join(directory, "nothing.js");
  writeFileSync(script, "0;\n");
  const run = () => runMs(program, ["run", "--quiet", "--no-lock", "--no-config", script], { DENO_DIR: directory });
  await run();
  return (count) => sequence(count, run);
}

async function openIsolatedVm(peers: Peers, started: AsyncDisposableStack): Promise<Maker["make"]> {
  const child = await BenchChild.start("isolate-floor.ts", await peers.find("isolated-vm"));
  started.defer(() => child.close());
  return async (calls) => (await child.run({ target: "", inFlight: 1, calls })).latenciesMs;
}
