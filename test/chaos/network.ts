/**
 * Another machine as far as the network goes: a namespace behind a router, which is a namespace as
 * well. The router drops what it gets while its forwarding is off: a cut that neither side is told
 * of. Takes a network namespace of the test's own to begin from (main.ts).
 *
 *   near 10.66.1.2 --- 10.66.1.1 router 10.66.2.1 --- 10.66.2.2 far
 *        10.66.3.1 ------------- never cut ---------- 10.66.3.2
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Of the near side, by way of the router. */
export const NEAR = "10.66.1.2";
/** Of the far side, by the link that is never cut: clients of a far gateway use it. */
export const FAR = "10.66.3.2";

export class FarMachine {
  readonly #router: ChildProcess;
  readonly #far: ChildProcess;

  private constructor(router: ChildProcess, far: ChildProcess) {
    this.#router = router;
    this.#far = far;
  }

  /** Makes both namespaces and their links. @throws Error with what `ip` said */
  static async create(): Promise<FarMachine> {
    const machine = new FarMachine(await namespace(), await namespace());
    const [router, far] = [String(machine.#router.pid), String(machine.#far.pid)];
    await ip("link add near type veth peer name r-near netns", router);
    await ip("link add direct type veth peer name far-direct netns", far);
    await inside(router, `ip link add r-far type veth peer name far netns ${far}`);
    await address("near", `${NEAR}/24`);
    await address("direct", "10.66.3.1/24");
    await inside(router, "ip addr add 10.66.1.1/24 dev r-near && ip link set r-near up");
    await inside(router, "ip addr add 10.66.2.1/24 dev r-far && ip link set r-far up");
    await inside(far, "ip addr add 10.66.2.2/24 dev far && ip link set far up && ip link set lo up");
    await inside(far, `ip addr add ${FAR}/24 dev far-direct && ip link set far-direct up`);
    await inside(far, "ip route add 10.66.1.0/24 via 10.66.2.1");
    await ip("route add 10.66.2.0/24 via", "10.66.1.1");
    await machine.heal();
    return machine;
  }

  /** What stands before a command that is to run there. */
  get prefix(): string[] {
    return ["nsenter", `--net=/proc/${this.#far.pid}/ns/net`, "--"];
  }

  /** From now on nothing passes the router, and nobody is told. */
  cut(): Promise<void> {
    return inside(String(this.#router.pid), "echo 0 > /proc/sys/net/ipv4/ip_forward");
  }

  heal(): Promise<void> {
    return inside(String(this.#router.pid), "echo 1 > /proc/sys/net/ipv4/ip_forward");
  }

  /** Ends the namespaces, with their links. */
  async close(): Promise<void> {
    for (const child of [this.#router, this.#far]) {
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    }
    // A namespace goes a moment after its last process, and its links with it.
    await Promise.all(["near", "direct"].map((link) => ip("link del", link).catch(() => {})));
  }
}

/** A process in a network namespace of its own, which ends with this process. */
async function namespace(): Promise<ChildProcess> {
  const script = "echo here; exec sleep infinity";
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "unshare", "--net", "sh", "-c", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await Promise.race([once(child.stdout, "data"), once(child, "exit")]);
  return child;
}

async function ip(words: string, last: string): Promise<void> {
  await run("ip", [...words.split(" "), last]);
}

async function address(link: string, cidr: string): Promise<void> {
  await ip(`addr add ${cidr} dev`, link);
  await run("ip", ["link", "set", link, "up"]);
}

async function inside(pid: string, command: string): Promise<void> {
  await run("nsenter", [`--net=/proc/${pid}/ns/net`, "--", "sh", "-c", command]);
}
