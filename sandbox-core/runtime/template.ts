/** How a process becomes a template: it is asked to, shows that it can be forked, and goes on in each of its forks. */
import { Beforehand } from "./obstacles.ts";
import type { SocketWire } from "./wire.ts";

// Captured before tenant code.
const { setImmediate } = globalThis;

/** What a process is forked with. One that was started as a program of its own has none. */
export interface Forks {
  /** Forks when the worker says so, and never returns in this process. Returns in each fork, which has the wire then. */
  serve(): void;
}

const NO_FORKS = "the sandboxes of this worker are started anew instead of forked (SANDPIPER_LAUNCHER)";

/**
 * Has this process become a template once its version is loaded, which it is by the time that what is returned here is called,
 * with what tells the worker: why it cannot, or null. From that word on, nothing here reads what the worker sends.
 * @param onFork called in each fork, before it reads from its wire
 */
export function expectTemplate(
  wire: SocketWire,
  forks: Forks | null,
  onFork: () => void,
): (tell: (obstacle: string | null) => void) => void {
  if (forks === null) return (tell) => tell(NO_FORKS);
  const beforehand = new Beforehand();
  return (tell) => {
    const become = () => {
      const obstacle = beforehand.obstacle();
      tell(obstacle);
      if (obstacle !== null) return;
      // The worker sends nothing before it has heard that, so nothing is read by this process that is a fork's to read.
      wire.flush(() => {
        forks.serve();
        onFork();
      });
    };
    // Outside of the promise by which the module was evaluated, and of what is waiting to be written.
    wire.flush(() => void setImmediate(become));
  };
}
