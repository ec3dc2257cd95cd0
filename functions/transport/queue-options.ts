/** Options that all queues have in common. */

/** How long a worker owns a job without saying so again, and how often it says so. */
export const LOCK_MS = 4_000;

export const PREFIX = "sp:queue";

/** BullMQ writes an event for every step of a job; none is read here, so that none is kept. */
export const NO_EVENTS = { events: { maxLen: 0 } };
