/**
 * The attestation: makes a sandbox, looks at every wall from outside and from inside, and says
 * which are missing. Each zygote is attested before it serves. fork/probe.ts tries the walls from
 * inside, posture.ts looks from outside, egress.ts gives it egress to one address and sees it
 * connect, and walls.ts is the table that judges.
 */
import type { Socket } from "node:net";
import { SandboxError } from "../contract/error.ts";
import type { SandboxLimits } from "../contract/sandbox.ts";
import type { ZygoteFacts } from "../protocol/control.ts";
import { type EgressProbe, openProbedEgress } from "./egress.ts";
import { type Posture, readPosture } from "./posture.ts";
import { DEGRADABLE, WALLS, type Wall } from "./walls.ts";

const MIB = 1024 * 1024;
/** Of the sandbox that is looked at; no tenant's code is ever in it. */
export const ATTESTED_LIMITS: SandboxLimits = {
  memoryBytes: 128 * MIB,
  cpus: 1,
  pids: 64,
  tmpBytes: 8 * MIB,
  tmpInodes: 100,
};
/** Far more than the sandbox needs: a busy machine has no fewer walls. */
const TIMEOUT_MS = 60_000;
const MOST_REPORT_BYTES = 64 * 1024;

export interface MissingWall {
  name: string;
  /** How it shows. */
  flaw: string;
}

export interface Attestation {
  posture: Posture;
  missing: MissingWall[];
}

/** A sandbox that runs fork/probe.ts instead of anything else. */
interface Probed extends EgressProbe {
  pid: number;
  hostUid: number;
  wire: Socket;
  kill(reason: string): void;
  exited: Promise<unknown>;
}

export interface Attestable {
  kind: "fork" | "exec";
  facts: ZygoteFacts;
  probe(limits: SandboxLimits): Promise<Probed>;
}

/**
 * Looks at a new sandbox of this zygote and ends it.
 * @throws SandboxError when none can be made, or it tells nothing within a minute
 */
export async function attest({ kind, facts, probe }: Attestable): Promise<Attestation> {
  const sandbox = await probe(ATTESTED_LIMITS);
  const { pid, hostUid } = sandbox;
  const timer = setTimeout(() => sandbox.kill("it told nothing"), TIMEOUT_MS);
  try {
    const reports = readReports(sandbox.wire);
    const attempts = await nextOf(reports);
    const posture = readPosture({ pid, hostUid, facts, launcher: kind, limits: ATTESTED_LIMITS, attempts });
    // Else the routes would be the host's.
    if (hasOwnNetwork(posture)) await lookAtEgress(sandbox, posture, reports);
    return { posture, missing: judge(posture) };
  } finally {
    clearTimeout(timer);
    sandbox.kill("attested");
    await sandbox.exited;
  }
}

/** Every wall that does not stand in this posture. */
export function judge(posture: Posture): MissingWall[] {
  return WALLS.flatMap((wall) => {
    const flaw = wall.flaw(posture);
    return flaw === null ? [] : [{ name: wall.name, flaw }];
  });
}

/**
 * Names among these that are no walls, or walls that no worker may do without: each with the
 * reason.
 */
export function badAllowances(names: readonly string[]): string[] {
  return names.flatMap((name) => {
    const wall = WALLS.find((candidate) => candidate.name === name);
    if (!wall)
      return [`there is no wall named ${JSON.stringify(name)}; those that may be missing: ${DEGRADABLE.join(", ")}`];
    return wall.degradable ? [] : [`the wall ${name} may never be missing: ${wall.without}`];
  });
}

/** Sandboxes of this machine lack walls that nobody allowed them to lack. */
export class MissingWallsError extends SandboxError {
  readonly walls: readonly string[];

  constructor(missing: readonly MissingWall[]) {
    super(
      `sandboxes here would be without ${missing.length === 1 ? "a wall" : "walls"}:\n${missing.map(explain).join("\n")}`,
    );
    this.name = "MissingWallsError";
    this.walls = missing.map(({ name }) => name);
  }
}

/**
 * @throws MissingWallsError for walls that are missing and are not in `allowed`, or may never be
 * missing
 */
export function assertWalls({ missing }: Attestation, allowed: readonly string[]): void {
  const refused = missing.filter(({ name }) => !(allowed.includes(name) && DEGRADABLE.includes(name)));
  if (refused.length > 0) throw new MissingWallsError(refused);
}

function explain({ name, flaw }: MissingWall): string {
  const { without, fix, degradable } = WALLS.find((wall) => wall.name === name) as Wall;
  const way = degradable
    ? `Or accept it with --allow-degraded=${name} (SANDPIPER_ALLOW_DEGRADED): ${degradable}.`
    : "It cannot be done without.";
  return `  ${name}: ${flaw}. Without it, ${without}. ${fix} ${way}`;
}

type Reports = AsyncGenerator<Record<string, string>, void>;

function hasOwnNetwork({ namespaces: { net } }: Posture): boolean {
  return net.sandbox !== null && net.sandbox !== net.host;
}

/** Gives the sandbox egress, and adds what comes of it. Egress that cannot be is a missing wall. */
async function lookAtEgress(sandbox: Probed, posture: Posture, reports: Reports): Promise<void> {
  const egress = await openProbedEgress(sandbox);
  if (!egress) return;
  try {
    sandbox.wire.write("\n");
    Object.assign(posture.attempts, await nextOf(reports));
    posture.egressReached = egress.isReached();
  } finally {
    egress.close();
  }
}

/** The lines that the probe writes. */
async function* readReports(wire: Socket): Reports {
  let text = "";
  for await (const chunk of wire as AsyncIterable<Buffer>) {
    text += chunk.toString("utf8");
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
      yield JSON.parse(text.slice(0, end)) as Record<string, string>;
      text = text.slice(end + 1);
    }
    if (text.length > MOST_REPORT_BYTES) return;
  }
}

/** @throws SandboxError when it is no report, or none comes */
async function nextOf(reports: Reports): Promise<Record<string, string>> {
  const { value } = await reports.next();
  if (value) return value;
  throw new SandboxError("a sandbox that was to be attested told nothing about its inside");
}
