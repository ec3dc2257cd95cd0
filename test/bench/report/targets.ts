/** What is aimed at, as data, and whether a run reached it. */
import type { Results, Unit } from "../run/suite.ts";

interface Aim {
  suite: string;
  /** What it says, for people. */
  figure: string;
  bound: "at most" | "at least";
  value: number;
}

/** A bound on a ratio, or on the median of a row. */
export type Target = Aim & ({ ratio: string } | { row: string; unit: Unit });

/** A target, and what a run says of it. */
export interface Verdict extends Aim {
  /** null when it was not measured. */
  measured: number | null;
  /** The middle half of what was measured, of the ratios of rounds when it is a ratio. */
  p25: number | null;
  p75: number | null;
  /** null for a ratio. */
  unit: Unit | null;
  /** What a ratio divides by what, with its unit. */
  of: { contender: number; floor: number; unit: Unit } | null;
  met: boolean | null;
}

const atMost = (value: number) => ({ bound: "at most", value }) as const;
const atLeast = (value: number) => ({ bound: "at least", value }) as const;

const sandbox: Target[] = [
  { figure: "sandbox, all walls, against `node -e 0`", ratio: "creation / node -e 0", ...atMost(0.15) },
  { figure: "sandbox, all walls, against `bwrap true`", ratio: "creation / bwrap true", ...atMost(1) },
  {
    figure: "sandboxes made and ended, sustained",
    row: "creation and teardown, 2 lanes",
    unit: "per s" as const,
    ...atLeast(400),
  },
].map((target) => ({ suite: "sandbox", ...target }));

const box: Target[] = [
  { figure: "a command in a box, against bwrap", ratio: "/bin/true in a box / under bwrap", ...atMost(1) },
  ...["bwrap", "runc", "crun", "unshare"].map((name) => ({
    figure: `Node under ${name}, against a JavaScript sandbox`,
    ratio: `node -e 0 under ${name} / JavaScript sandbox, created`,
    ...atLeast(6),
  })),
  {
    figure: "time of a box in sustained creation, second half against first",
    ratio: "time of a box, second half / first half",
    // Growth that is none: what else the machine does moves it too.
    ...atMost(1.2),
  },
  // A kibibyte for each box would be one here, and an object a thousand.
  ...(
    [
      ["memory of the zygote", "MiB", 0.1],
      ["slab of the kernel", "MiB", 0.5],
      ["control groups", "objects", 2],
      ["network namespaces", "objects", 2],
      ["mounts of the zygote", "objects", 1],
    ] as const
  ).map(([what, unit, most]) => ({
    figure: `growth of ${what} in sustained creation, for 1,000 boxes`,
    row: `growth of ${what} in 1,000 boxes`,
    unit,
    ...atMost(most),
  })),
].map((target) => ({ suite: "box", ...target }));

const cold: Target[] = [
  {
    figure: "cold call, pool full, against node:http from its start to its first 200",
    ratio: "cold call / node:http",
    ...atMost(0.25),
  },
  { figure: "cold call, pool empty, against the same", ratio: "cold call, pool empty / node:http", ...atMost(0.4) },
  {
    figure: "cold call of a 500 ms import, version initialised before on the worker",
    row: "500 ms import, initialised before",
    unit: "ms" as const,
    ...atMost(20),
  },
].map((target) => ({ suite: "cold", ...target }));

const warm: Target[] = [
  {
    figure: "warm call, 1 in flight, against bare BullMQ",
    ratio: "latency / bare BullMQ, 1 in flight",
    ...atMost(1.6),
  },
  {
    figure: "warm throughput, 64 in flight, against bare BullMQ",
    ratio: "throughput / bare BullMQ, 64 in flight",
    ...atLeast(2),
  },
  ...["miniflare", "functions-framework"].map((name) => ({
    figure: `warm throughput, 64 in flight, against ${name}`,
    ratio: `throughput / ${name}, 64 in flight`,
    ...atLeast(1),
  })),
  { figure: "warm p99, 64 in flight, against workerd's", ratio: "p99 / workerd, 64 in flight", ...atMost(1) },
].map((target) => ({ suite: "warm", ...target }));

const fresh: Target[] = [
  {
    figure: "a fresh process image for each call: time over a warm call",
    row: "fresh over warm, 1 in flight",
    unit: "ms" as const,
    ...atMost(5),
  },
  {
    figure: "a fresh process image for each call: throughput",
    row: "fresh, 16 in flight",
    unit: "per s" as const,
    ...atLeast(300),
  },
].map((target) => ({ suite: "fresh", ...target }));

/** 2 MB in MiB. */
const TWO_MB = 2e6 / 2 ** 20;

const fair: Target[] = ["1 gateway and worker", "2 gateways and workers"].flatMap((fleet) =>
  ["flood", "hog"].map((neighbour) => ({
    suite: "fair",
    figure: `p99 of a light tenant beside another's ${neighbour}, against alone, ${fleet}`,
    ratio: `p99 beside a ${neighbour} / alone, ${fleet}`,
    ...atMost(2),
  })),
);

const egress: Target[] = [
  {
    figure: "creation with egress of three ports over without, in pairs",
    row: "creation with egress over without, in pairs",
    unit: "ms" as const,
    ...atMost(0.3),
  },
  {
    figure: "a kept connection's request of 200 bytes, relay over direct",
    row: "request, relay over direct",
    unit: "ms" as const,
    ...atMost(0.1),
  },
  ...["to", "from"].map((direction) => ({
    figure: `bulk ${direction} a server through the relay, against direct`,
    ratio: `bulk ${direction} a server, relay / direct`,
    ...atLeast(0.5),
  })),
  ...["descriptors", "TCP sockets", "network namespaces", "control groups"].map((what) => ({
    figure: `${what} left when all sandboxes with egress have ended`,
    row: `left of all: ${what}, with egress of 3 ports`,
    unit: "objects" as const,
    // Of all but descriptors the kernel knows the machine's number, which others move.
    ...atMost(what === "descriptors" ? 0 : 2),
  })),
].map((target) => ({ suite: "egress", ...target }));

export const TARGETS: readonly Target[] = [
  ...sandbox,
  ...box,
  ...cold,
  ...warm,
  ...fresh,
  ...fair,
  ...egress,
  {
    suite: "density",
    figure: "an idle prewarmed sandbox: unique memory",
    row: "idle sandbox, unique",
    unit: "MiB",
    ...atMost(Number(TWO_MB.toFixed(2))),
  },
  {
    suite: "trace",
    figure: "throughput with tracing on, 1 % sampled, against off",
    ratio: "throughput, 1 % sampled / off, 64 in flight",
    ...atLeast(0.95),
  },
  {
    suite: "scale",
    figure: "warm call among 10,000 functions of 1,000 tenants, against one function",
    ratio: "latency, 10,000 functions, 1,000 tenants / 1 function, 1 tenant",
    ...atMost(1.1),
  },
];

/**
 * The verdicts of a run of these suites on the targets. A target that was not measured has its
 * verdict too.
 */
export function judge(suites: readonly string[], results: Pick<Results, "rows" | "ratios">): Verdict[] {
  return TARGETS.filter(({ suite }) => suites.includes(suite)).map((target) => verdictOf(target, results));
}

function verdictOf(target: Target, { rows, ratios }: Pick<Results, "rows" | "ratios">): Verdict {
  const { suite, figure, bound, value } = target;
  const aim = { suite, figure, bound, value, unit: "row" in target ? target.unit : null };
  const ratio = "ratio" in target ? ratios.find((one) => one.suite === suite && one.name === target.ratio) : undefined;
  if (ratio !== undefined) {
    const { contender, floor, unit, p25, p75 } = ratio;
    return { ...aim, ...judged(aim, ratio.value), p25, p75, of: { contender, floor, unit } };
  }
  const row =
    "row" in target
      ? rows.find((one) => one.suite === suite && one.name === target.row && one.unit === target.unit)
      : undefined;
  if (row !== undefined) {
    return { ...aim, ...judged(aim, row.median), p25: row.p25, p75: row.p75, of: null };
  }
  return { ...aim, measured: null, p25: null, p75: null, of: null, met: null };
}

/** Whether a measured value is what is aimed at. */
export function judged({ bound, value }: Pick<Aim, "bound" | "value">, measured: number) {
  return { measured, met: bound === "at most" ? measured <= value : measured >= value };
}
