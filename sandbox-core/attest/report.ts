/**
 * An attestation for people and for other programs: wall by wall, with what is allowed to be
 * missing.
 */
import type { Attestation } from "./attest.ts";
import type { Posture } from "./posture.ts";
import { WALLS } from "./walls.ts";

export interface WallReport {
  name: string;
  /** The flaw, or null when the wall stands. */
  flaw: string | null;
  /** Whether a worker would run without it. */
  allowed: boolean;
  /** Whether that could be allowed. */
  degradable: boolean;
  without: string;
  fix: string;
}

export interface AttestationReport {
  /** Whether a worker would serve. */
  ok: boolean;
  /** Walls that it would serve without. */
  degraded: string[];
  walls: WallReport[];
  posture: Posture;
}

/** Every wall, with what was found of it. */
export function walls({ missing }: Attestation, allowed: readonly string[]): WallReport[] {
  return WALLS.map(({ name, without, fix, degradable }) => ({
    name,
    flaw: missing.find((wall) => wall.name === name)?.flaw ?? null,
    allowed: degradable !== undefined && allowed.includes(name),
    degradable: degradable !== undefined,
    without,
    fix,
  }));
}

export function report(attestation: Attestation, allowed: readonly string[]): AttestationReport {
  const all = walls(attestation, allowed);
  const missing = all.filter(({ flaw }) => flaw !== null);
  return {
    ok: missing.every((wall) => wall.allowed),
    degraded: missing.filter((wall) => wall.allowed).map(({ name }) => name),
    walls: all,
    posture: attestation.posture,
  };
}
