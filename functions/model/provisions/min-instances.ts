/** How many instances of a function are kept warm. */
import { z } from "zod";

/** Most instances that a function may have kept. */
const MAX_INSTANCES = 1_000;

export const minInstancesSchema = z.int().min(0).max(MAX_INSTANCES);

export type MinInstances = z.output<typeof minInstancesSchema>;

/** The most instances that are ever kept by it. */
export function mostInstances(minInstances: MinInstances = 0): number {
  return minInstances;
}

/** The instances that are kept of a version that gets such a share of the calls. */
export function countOf(minInstances: MinInstances = 0, percent: number): number {
  return Math.ceil((minInstances * percent) / 100);
}
