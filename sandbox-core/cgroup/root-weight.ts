/** The share of all sandboxes of a machine together, against everything else that it runs. */
import { availableParallelism } from "node:os";
import { type CgroupDriver, ROOT_GROUP } from "./driver.ts";

/** The kernel's weight for a group that nobody gave one, on version 2's scale. */
const USUAL_WEIGHT = 100;
/** Nobody gives this: older kernels have it for idle groups. */
const LEAST_WEIGHT = 1;
const HIGHEST_WEIGHT = 10_000;
/**
 * Weight for each processor. Without one, all sandboxes together get as much as a single busy
 * process. On version 1 the group's neighbours are the processes of the machine, a gateway's and a
 * worker's among them; on version 2 they are groups of many, such as systemd's slices.
 */
const WEIGHT_PER_PROCESSOR = { 1: 400, 2: 100 } as const;

/**
 * Gives the group of all sandboxes its weight. Without one it gets a weight that fits the
 * processors, unless somebody gave it another than the kernel's.
 * @param weight 1 to 10,000: 100 is one ordinary process, or group, that wants to run
 */
export function weighRoot(driver: CgroupDriver, weight?: number): void {
  // A worker that was killed may have left it so.
  if (driver.isCpuIdle(ROOT_GROUP)) driver.setCpuIdle(ROOT_GROUP, false);
  const before = driver.cpuWeight(ROOT_GROUP);
  if (weight === undefined && before !== USUAL_WEIGHT && before > LEAST_WEIGHT) return;
  const fitting = availableParallelism() * WEIGHT_PER_PROCESSOR[driver.version];
  try {
    driver.setCpuWeight(ROOT_GROUP, weight ?? Math.min(fitting, HIGHEST_WEIGHT));
  } catch (error) {
    // Another worker has it yield again, and gives it a weight afterwards.
    if (!driver.isCpuIdle(ROOT_GROUP)) throw error;
  }
}
