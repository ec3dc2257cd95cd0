/** The relay's sandboxes, by the numbers that their holder gives them. */
import type { EgressEvent } from "../contract/egress.ts";
import type { RelayOptions, RelayRequest } from "../protocol/egress.ts";
import { LINK_NUMBER } from "../protocol/injector.ts";
import { InjectorLink } from "./injector-link.ts";
import { PlatformHosts } from "./platform-hosts.ts";
import { Names } from "./resolver.ts";
import { type RelayParts, ServedSandbox } from "./served-sandbox.ts";
import { Tenants } from "./tenants.ts";

const LOOKS_PER_IDLE = 4;
/** Numbers of connections go on where an earlier relay of the same holder cannot have been. */
const IDS_PER_MS = 1_000;

export class Relay {
  readonly #served = new Map<number, ServedSandbox>();
  readonly #parts: RelayParts;
  readonly #tell: (sandbox: number, event: EgressEvent) => void;
  #link: InjectorLink | null = null;
  #lastId = Date.now() * IDS_PER_MS;

  constructor(options: RelayOptions, tell: (sandbox: number, event: EgressEvent) => void) {
    const names = new Names(options);
    const platform = new PlatformHosts(options.platform, names);
    const tenants = new Tenants(options);
    this.#parts = { names, platform, tenants, link: () => this.#link, nextId: () => ++this.#lastId };
    this.#tell = tell;
    setInterval(() => {
      tenants.forgetIdle();
      for (const served of this.#served.values()) served.endIdle(options.idleMs);
    }, options.idleMs / LOOKS_PER_IDLE);
  }

  /**
   * @param takeSockets gives the descriptors that came for a sandbox
   * @throws Error when some of them were lost: the next relay is handed all of them
   */
  answer(request: Exclude<RelayRequest, { op: "flush" }>, takeSockets: (sandbox: number) => number[]): void {
    if (request.op === "link") {
      const [lines = -1, descriptors = -1] = takeSockets(LINK_NUMBER);
      this.#link = new InjectorLink([lines, descriptors]);
      return;
    }
    const { sandbox } = request;
    if (request.op === "open") {
      const { policy, calls } = request;
      const tell = (event: EgressEvent) => this.#tell(sandbox, event);
      const fds = takeSockets(sandbox);
      if (fds.length !== request.ports.length + 1) throw new Error("sockets of a sandbox found no descriptor");
      this.#served.set(sandbox, new ServedSandbox({ sandbox, policy, calls, fds, parts: this.#parts, tell }));
      return;
    }
    const served = this.#served.get(sandbox);
    if (request.op === "began") served?.began(request.call);
    else if (request.op === "ended") served?.ended(request.call, request.close);
    else {
      served?.close();
      this.#served.delete(sandbox);
    }
  }
}
