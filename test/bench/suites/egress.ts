/**
 * The cost of egress: at the creation of a sandbox, for a request and for bulk over the relay, each
 * beside the same without it and by other networks, and what many sandboxes with it take.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { EgressRelay } from "../../../sandbox-core/launcher/egress-relay.ts";
import type { ZygoteLauncher } from "../../../sandbox-core/launcher/launcher.ts";
import { childrenOf } from "../../helpers/platform.ts";
import { openTestLauncher, SandboxClient } from "../../helpers/sandbox-client.ts";
import { inTurn } from "../measure/blocks.ts";
import { affordable, measureEgressDensity } from "../measure/egress-density.ts";
import { SERVER_PORTS } from "../measure/network-ports.ts";
import { Sheet } from "../measure/sheet.ts";
import { differenceOf, Samples } from "../measure/stats.ts";
import {
  type Connecting,
  connectByRelay,
  connectDirectly,
  Internet,
  OTHER_NETWORKS,
  THREE_PORTS,
} from "../peers/networks.ts";
import type { Peers } from "../peers/peers.ts";
import type { Plan } from "../run/plan.ts";
import type { Suite } from "../run/suite.ts";

const suite = "egress";
const PROGRAM = readFileSync(join(import.meta.dirname, "../apps/network-client.mjs"), "utf8");
const REQUEST_BYTES = 200;
const DIRECT = "direct";
const RELAY = "relay";
const BULK = { up: "bulk to a server", down: "bulk from a server" } as const;
type Direction = keyof typeof BULK;
/** Ids of users for a thousand sandboxes and some more. */
const MANY_UIDS = 131_072;

export async function openEgressSuite(plan: Plan, _peers: Peers): Promise<Suite> {
  await using started = new AsyncDisposableStack();
  const sheet = new Sheet(suite);
  const internet = started.use(await Internet.open());
  const relay = started.use(internet.relay());
  // One that waits would be taken by one of a pair and make the other wait for the next.
  const launcher = await openTestLauncher({ sandboxesAhead: false });
  started.defer(() => launcher.close());
  const creation = new Creation(launcher, relay);
  const networks = await openNetworks({ launcher, internet, relay, started }, sheet);
  const opened = started.move();
  let rounds = 0;
  return {
    async round(counts) {
      const round = rounds++;
      await creation.pairs(plan.sandboxesPerRound, counts);
      await inTurn(
        round,
        networks.map((network) => () => network.requests(plan.blockMs, counts)),
      );
      for (const direction of Object.keys(BULK) as Direction[])
        await inTurn(
          round,
          networks.map((network) => () => network.bulk(direction, plan.egress.bulkMiB, counts)),
        );
    },
    async finish() {
      const many = await openTestLauncher({ uidCount: MANY_UIDS });
      try {
        const zygotePid = childrenOf(process.pid).at(-1) as number;
        const wanted = plan.egress.sandboxes;
        const count = affordable(wanted);
        if (count < wanted) sheet.missing(`what ${wanted} sandboxes take`, `this machine has room for ${count}`);
        const { settleMs } = plan.egress;
        await measureEgressDensity({ launcher: many, zygotePid, relay, settleMs }, count, sheet);
      } finally {
        await many.close();
      }
    },
    results() {
      creation.write(sheet);
      writeNetworks(sheet, networks);
      return sheet.results;
    },
    close: () => opened.disposeAsync(),
  };
}

/** Sandboxes with and without egress, in pairs. */
class Creation {
  readonly #launcher: ZygoteLauncher;
  readonly #relay: EgressRelay;
  readonly #without = new Samples();
  readonly #with = new Samples();
  readonly #blank = new Samples();
  readonly #difference = new Samples();
  #pairs = 0;

  constructor(launcher: ZygoteLauncher, relay: EgressRelay) {
    this.#launcher = launcher;
    this.#relay = relay;
  }

  async pairs(count: number, counts: boolean): Promise<void> {
    const [without, with_, blank]: number[][] = [[], [], []];
    for (let index = 0; index < count; index++)
      await inTurn(this.#pairs++, [
        async () => void without?.push(await this.#one(false)),
        async () => void with_?.push(await this.#one(true)),
      ]);
    for (let index = 0; index < count; index++) blank?.push(await this.#blankOne());
    if (!counts || !without || !with_ || !blank) return;
    this.#without.addRound(without);
    this.#with.addRound(with_);
    this.#blank.addRound(blank);
    this.#difference.addRound(with_.map((ms, index) => ms - (without[index] as number)));
  }

  /** Until the runtime is ready and the sockets are there. */
  async #one(withEgress: boolean): Promise<number> {
    const startMs = performance.now();
    const sockets = withEgress ? this.#relay.socketsOf(THREE_PORTS) : undefined;
    await using client = await SandboxClient.launch(this.#launcher, {}, sockets);
    const ready = client.next("ready");
    // As a worker does, while the runtime starts.
    if (withEgress) await this.#relay.open(client.sandbox, THREE_PORTS, () => undefined);
    await ready;
    return performance.now() - startMs;
  }

  /** The sockets alone, in a sandbox that was made without. */
  async #blankOne(): Promise<number> {
    await using client = await SandboxClient.blank(this.#launcher);
    const startMs = performance.now();
    await this.#relay.open(client.sandbox, THREE_PORTS, () => undefined);
    return performance.now() - startMs;
  }

  write(sheet: Sheet): void {
    const style = { chart: "making one" };
    sheet
      .row("creation without egress", "ms", this.#without, style)
      .row("creation with egress of 3 ports", "ms", this.#with, style)
      .row("creation with egress over without, in pairs", "ms", this.#difference, { chart: "what egress adds" })
      .row("sockets of 3 ports for a blank", "ms", this.#blank, { chart: "what egress adds" });
  }
}

/** A sandbox that reaches the servers in one way, and the figures of its client. */
class Network {
  readonly name: string;
  readonly times = new Samples();
  readonly rates: Record<Direction, Samples> = { up: new Samples(), down: new Samples() };
  readonly #client: SandboxClient;
  readonly #host: string;

  constructor(name: string, client: SandboxClient, host: string) {
    this.name = name;
    this.#client = client;
    this.#host = host;
  }

  async requests(durationMs: number, counts: boolean): Promise<void> {
    const timesMs = await this.#ask<number[]>("requests", { bytes: REQUEST_BYTES, durationMs });
    if (counts) this.times.addRound(timesMs);
  }

  async bulk(direction: Direction, mib: number, counts: boolean): Promise<void> {
    const rate = await this.#ask<number>(direction, { mib });
    if (counts) this.rates[direction].addRound([rate]);
  }

  async #ask<Answer>(block: string, options: object): Promise<Answer> {
    const body = JSON.stringify({ host: this.#host, ports: SERVER_PORTS, ...options });
    return JSON.parse(await this.#client.text({ method: "POST", headers: [["x-block", block]], body })) as Answer;
  }
}

interface NetworkParts {
  launcher: ZygoteLauncher;
  internet: Internet;
  relay: EgressRelay;
  started: AsyncDisposableStack;
}

/** The direct way and the relay, and those of others that this machine has. */
async function openNetworks({ launcher, relay, ...more }: NetworkParts, sheet: Sheet): Promise<Network[]> {
  const open = async (name: string, connect: Connecting): Promise<Network> => {
    const client = more.started.use(await SandboxClient.with(launcher, PROGRAM));
    const network = new Network(name, client, await connect(client, more));
    await network.requests(1, false);
    return network;
  };
  const networks = [await open(DIRECT, connectDirectly), await open(RELAY, connectByRelay(relay))];
  for (const [name, connect] of Object.entries(OTHER_NETWORKS))
    try {
      networks.push(await open(name, connect));
    } catch (error) {
      sheet.missing(name, (error as Error).message);
    }
  return networks;
}

function writeNetworks(sheet: Sheet, networks: readonly Network[]): void {
  const [direct, ...others] = networks;
  if (!direct) return;
  for (const { name, times, rates } of networks) {
    const peer = name !== RELAY;
    sheet.row(`request of 200 bytes, ${name}`, "ms", times, { chart: "a request", label: name, peer });
    for (const [direction, what] of Object.entries(BULK))
      sheet.row(`${what}, ${name}`, "MiB per s", rates[direction as Direction], { chart: what, label: name, peer });
  }
  for (const { name, times, rates } of others) {
    const over = differenceOf(times, direct.times);
    sheet.row(`request, ${name} over ${DIRECT}`, "ms", over, {
      chart: "over direct",
      label: name,
      peer: name !== RELAY,
    });
    for (const [direction, what] of Object.entries(BULK))
      sheet.ratio(`${what}, ${name} / ${DIRECT}`, "MiB per s", [
        rates[direction as Direction],
        direct.rates[direction as Direction],
      ]);
  }
}
