/** The connections that a gateway needs before it answers anybody. */
import { settledWithin } from "../infra/std/time.ts";

/** How long starting waits for Redis. */
const START_MS = 10_000;

/**
 * Resolves when all is ready, or what is needed is there at the end of the time for it.
 * @param listening for workers' replies
 * @param ready connections and queues
 * @param isThere whether calls can be taken
 * @throws Error when that takes too long, or what listening rejected with
 */
export async function connectedTo(
  listening: Promise<unknown>,
  ready: readonly Promise<unknown>[],
  isThere: () => boolean,
): Promise<void> {
  let refused: unknown = null;
  const heard = listening.catch((error: unknown) => {
    refused = error;
  });
  await settledWithin(START_MS, Promise.all([heard, ...ready]));
  if (refused !== null) throw refused;
  if (!isThere()) throw new Error(`Redis did not answer within ${START_MS} ms.`);
}
