/** Levels that are told apart by nothing but how many calls are in flight. */

import type { Plan } from "../run/plan.ts";
import { inTurn } from "./blocks.ts";
import type { Contender } from "./contender.ts";

/** A contender, and where its calls go. */
export interface Entrant {
  contender: Contender;
  target: string;
}

export function levelOf(inFlight: number): string {
  return `${inFlight} in flight`;
}

/** A block of each entrant at each level. @throws Error when a call fails */
export async function runLevels(
  entrants: readonly Entrant[],
  levels: readonly number[],
  { round, counts, plan }: { round: number; counts: boolean; plan: Pick<Plan, "blockMs" | "warmUp"> },
): Promise<void> {
  for (const inFlight of levels) {
    const request = { inFlight, ...(counts ? { durationMs: plan.blockMs } : plan.warmUp) };
    const blocks = entrants.map(
      ({ contender, target }) =>
        () =>
          contender.block(levelOf(inFlight), { ...request, target }, counts),
    );
    await inTurn(round, blocks);
  }
}
