/**
 * How the runtime ends its process, told apart by the exit code. A tenant can imitate each: they
 * explain, no more.
 */

/** The worker closed the wire. */
export const EXIT_WIRE_CLOSED = 0;
/** A fork of a template has served its call. */
export const EXIT_SERVED = 0;
/**
 * An exception nobody caught or a rejection nobody handled: it was reported, and the state is
 * unknown since.
 */
export const EXIT_UNCAUGHT = 81;
/** The worker broke the protocol. */
export const EXIT_PROTOCOL = 82;
