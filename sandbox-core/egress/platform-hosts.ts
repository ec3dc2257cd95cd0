/** The platform's own hosts and ports, out of reach whatever is declared and granted. */
import type { PlatformHost } from "../protocol/egress.ts";
import { isThisMachine } from "./addresses.ts";
import type { Names } from "./resolver.ts";

/** Names of the platform's are looked up under a tenant of their own. */
const OWN = "\0platform";

export class PlatformHosts {
  readonly #hosts: readonly PlatformHost[];
  readonly #names: Names;

  constructor(hosts: readonly PlatformHost[], names: Names) {
    this.#hosts = hosts;
    this.#names = names;
  }

  /** The addresses that are none of the platform's at that port. Never rejects. */
  async without(addresses: readonly string[], port: number): Promise<string[]> {
    const at = this.#hosts.filter((host) => host.port === port);
    const own = (await Promise.all(at.map(({ host }) => this.#names.resolve(host, OWN)))).flat();
    // What listens at one address of this machine may listen at all of them.
    const isHere = own.some(isThisMachine);
    return addresses.filter((address) => !own.includes(address) && !(isHere && isThisMachine(address)));
  }
}
