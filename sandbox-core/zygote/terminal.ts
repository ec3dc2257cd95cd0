/**
 * A terminal of a sandbox's own: an instance of devpts(5) that holds this one pair and shows
 * nothing of the host's. The zygote keeps the master's side for the worker; the sandbox gets the
 * file system, and in it the slave's side.
 */
import { mkdirSync, openSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { MNT_DETACH, MS, O, TERMINAL_IOCTL } from "../abi/linux.ts";
import type { WindowSize } from "../contract/program.ts";
import { sys } from "../syscall/libc.ts";
import { setWindowSize } from "../syscall/steps.ts";

const MOST_TERMINALS = 16;

export class TerminalPair {
  /**
   * Where the file system is mounted, in the zygote's mount namespace, for the fork to take along.
   */
  readonly mount: string;
  #master: number | undefined;
  #mounted = false;

  /**
   * Makes the instance, owned by `hostId`, and the pair.
   * @throws SyscallError, and keeps nothing then
   */
  constructor(mount: string, hostId: number, size: WindowSize) {
    this.mount = mount;
    const data = `newinstance,ptmxmode=0666,mode=0620,uid=${hostId},gid=${hostId},max=${MOST_TERMINALS}`;
    try {
      mkdirSync(mount);
      sys.mount("devpts", mount, "devpts", MS.NOSUID | MS.NOEXEC, data);
      this.#mounted = true;
      this.#master = openSync(join(mount, "ptmx"), O.RDWR | O.NOCTTY | O.CLOEXEC);
      sys.ioctl(this.#master, TERMINAL_IOCTL.TIOCSPTLCK, Buffer.alloc(4));
      setWindowSize(this.#master, size);
    } catch (error) {
      this.discard();
      throw error;
    }
  }

  /** The master's side, until it is given away. */
  get master(): number | undefined {
    return this.#master;
  }

  /** The worker has its own descriptor by now. */
  giveAway(): void {
    if (this.#master !== undefined) sys.close(this.#master);
    this.#master = undefined;
  }

  /** The fork has a mount namespace of its own by now. */
  unmount(): void {
    if (!this.#mounted) return;
    sys.umount2(this.mount, MNT_DETACH);
    this.#mounted = false;
    rmdirSync(this.mount);
  }

  discard(): void {
    this.unmount();
    this.giveAway();
  }
}

/** Terminals that their worker has not taken yet, by the id of the launch. */
export class Terminals {
  readonly #pairs = new Map<string, TerminalPair>();

  add(id: string, pair: TerminalPair): void {
    this.#pairs.set(id, pair);
  }

  /**
   * The descriptor of the master's side, for the worker to take, once the fork has the file system.
   */
  handOut(id: string): number | undefined {
    const pair = this.#pairs.get(id);
    pair?.unmount();
    return pair?.master;
  }

  /** Closes the zygote's side: the worker has a descriptor of its own by now, or wants none. */
  drop(id: string): void {
    this.#pairs.get(id)?.discard();
    this.#pairs.delete(id);
  }
}
