/** Single keys on a terminal. */
import type { Io } from "../io.ts";

/** Actions of keys; Ctrl-C is a key like others here, and quits. */
export interface KeyActions {
  restart(): void;
  open(): void;
  clear(): void;
  quit(): void;
}

const CTRL_C = "\x03";
const CTRL_D = "\x04";
const CTRL_Z = "\x1a";

const ACTIONS: Readonly<Record<string, keyof KeyActions>> = {
  r: "restart",
  o: "open",
  c: "clear",
  q: "quit",
  [CTRL_C]: "quit",
  [CTRL_D]: "quit",
};

/** Whether there is a terminal to type on, and one to read on. */
export function hasKeys({ stdin, stderr }: Io): boolean {
  return Boolean(stdin.isTTY) && Boolean(stderr.isTTY);
}

/** Listens to keys until the returned function is called, which gives the terminal back. */
export function listenToKeys({ stdin }: Io, actions: KeyActions): () => void {
  const onData = (data: Buffer): void => {
    for (const key of data.toString("latin1")) {
      if (key === CTRL_Z) pause(stdin);
      const action = Object.hasOwn(ACTIONS, key) ? ACTIONS[key] : undefined;
      if (action !== undefined) actions[action]();
    }
  };
  const onContinue = () => void stdin.setRawMode(true);
  stdin.setRawMode(true);
  stdin.on("data", onData);
  process.on("SIGCONT", onContinue);
  return () => {
    stdin.off("data", onData);
    process.off("SIGCONT", onContinue);
    stdin.setRawMode(false);
    stdin.pause();
  };
}

/** Stops this process as a shell's Ctrl-Z does, with the terminal as it was. */
function pause(stdin: Io["stdin"]): void {
  stdin.setRawMode(false);
  process.kill(process.pid, "SIGTSTP");
}
