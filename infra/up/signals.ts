/** When the user wants `npm start` to end, and when in a hurry. */

export interface EndSignals {
  /** Aborted at the first Ctrl-C, SIGTERM or SIGHUP, and when whoever started this process died. */
  end: AbortSignal;
  /** Aborted at the second one. */
  hurry: AbortSignal;
}

/**
 * One Ctrl-C arrives several times, as the terminal sends it to the whole group and npm and
 * start.mjs pass it on. What follows this closely is the same one.
 */
const SAME_REQUEST_MS = 500;

/** Listens from now on. @param now milliseconds of any steady clock. */
export function listenForEnd(source: NodeJS.EventEmitter = process, now = () => performance.now()): EndSignals {
  const end = new AbortController();
  const hurry = new AbortController();
  let lastAt = Number.NEGATIVE_INFINITY;
  const request = () => {
    const at = now();
    if (end.signal.aborted && at - lastAt > SAME_REQUEST_MS) hurry.abort();
    if (!end.signal.aborted) lastAt = at;
    end.abort();
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) source.on(signal, request);
  source.on("disconnect", request);
  return { end: end.signal, hurry: hurry.signal };
}
