/** One connection of a sandbox, from its first byte until both sides are closed. */
import type { EgressEvent, EgressRefusal, EgressVerdict } from "../contract/egress.ts";
import type { RelayedPolicy } from "../protocol/egress.ts";
import type { AddressGuard } from "./addresses.ts";
import type { CallBudget } from "./call-budget.ts";
import { dial } from "./dial.ts";
import { awaitHello } from "./first-bytes.ts";
import type { Carried, InjectorLink } from "./injector-link.ts";
import { pass } from "./pass.ts";
import type { PassingSocket } from "./passing-socket.ts";
import type { PlatformHosts } from "./platform-hosts.ts";
import { remedyOf } from "./remedies.ts";
import { reset } from "./reset.ts";
import type { Names } from "./resolver.ts";
import type { Rules } from "./rules.ts";
import type { Tenants } from "./tenants.ts";

const TLS_PORT = 443;
const MAIL_PORT = 25;

/** Where a connection wants to go: a name that was looked up, or an address. */
export interface Destination {
  name: string | null;
  address: string | null;
  port: number;
}

/** The parts that a sandbox's connections have in common. */
export interface Surroundings {
  policy: RelayedPolicy;
  rules: Rules;
  guard: AddressGuard;
  calls: CallBudget;
  names: Names;
  platform: PlatformHosts;
  tenants: Tenants;
  /** Has the injector carry a connection, or says why that cannot be. */
  carry: (
    request: { id: number; name: string },
    onRefused: (verdict: EgressRefusal, why: string) => void,
  ) => ReturnType<InjectorLink["carry"]>;
  nextId: () => number;
  tell: (event: EgressEvent) => void;
}

export class RelayedConnection {
  readonly id: number;
  /** The call that ran alone when it began. */
  readonly call: string | null;
  readonly #near: PassingSocket;
  readonly #to: Destination;
  readonly #around: Surroundings;
  readonly #beganMs = performance.now();
  readonly #abandoned = new AbortController();
  #far: PassingSocket | undefined;
  #address: string | null;
  #isOpen = false;
  #up = 0;
  #down = 0;
  /** Why the relay ended it, once it did. */
  #ending: EgressVerdict | undefined;
  #lastMs = this.#beganMs;

  constructor(near: PassingSocket, to: Destination, around: Surroundings) {
    this.#near = near;
    this.#to = to;
    this.#around = around;
    this.id = around.nextId();
    this.call = around.calls.only;
    this.#address = to.address;
    near.on("error", () => undefined);
    near.once("close", () => this.#abandoned.abort());
  }

  /** Carries it from start to end. Never rejects. */
  async run(): Promise<void> {
    const first = await this.#readFirst();
    if (first === null) return;
    const addresses = await this.#findAddresses();
    if (addresses === null || this.#abandoned.signal.aborted) return;
    const far = await dial(addresses, this.#to.port, this.#abandoned.signal);
    if (this.#abandoned.signal.aborted) return void far?.destroy();
    if (far === null) return void this.#refuse("unreachable");
    if (this.#isInjected) await this.#openInjected(far, first);
    else await this.#open(far, first);
  }

  /** Ends it now, for that reason. */
  end(verdict: EgressVerdict): void {
    this.#ending ??= verdict;
    this.#abandoned.abort();
    reset(this.#near);
    if (this.#far) reset(this.#far);
  }

  /** Tells how much it has carried, when its call leaves it open. */
  tellKept(): void {
    if (this.#isOpen && this.#ending === undefined) this.#tell("kept", "ok");
  }

  /** Milliseconds since its last byte. */
  get idleMs(): number {
    return performance.now() - this.#lastMs;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get #isInjected(): boolean {
    const { name, port } = this.#to;
    return name !== null && port === TLS_PORT && this.#around.policy.injected.includes(name);
  }

  /** Bytes that came already and go to the host first; null when it was refused. */
  async #readFirst(): Promise<Buffer | null> {
    const { name, address, port } = this.#to;
    const { rules } = this.#around;
    // An address that was declared is what it is, whatever its hello says.
    if (port !== TLS_PORT || (name === null && rules.declaresAddress(address as string))) return Buffer.alloc(0);
    const hello = await awaitHello(this.#near);
    if (hello === null || this.#abandoned.signal.aborted) {
      this.#near.destroy();
      return null;
    }
    if ("refusal" in hello) return this.#refuse(hello.refusal);
    const problem = this.#judgeServerName(hello.serverName);
    return problem === null ? hello.bytes : this.#refuse(problem);
  }

  #judgeServerName(serverName: string | null): EgressRefusal | null {
    const { name, port } = this.#to;
    if (name !== null && serverName === null) return "no_server_name";
    if (name !== null) return serverName === name ? null : "wrong_server_name";
    // Any public address: a name in the hello must be one that could have been looked up.
    return serverName === null ? null : this.#around.rules.refuseName(serverName, port);
  }

  /** Addresses that may be dialled; null when it was refused. */
  async #findAddresses(): Promise<string[] | null> {
    const { name, address, port } = this.#to;
    const { names, policy, guard, platform, rules } = this.#around;
    const found = address !== null ? [address] : await names.resolve(name as string, policy.tenant);
    if (this.#abandoned.signal.aborted) return null;
    if (found.length === 0) return this.#refuse("unresolved");
    const reachable = found.filter((one) => guard.mayReach(one, name));
    if (reachable.length === 0) return this.#refuse("private_address", found[0]);
    const allowed = reachable.filter((one) => !rules.isAddressDenied(one, port));
    if (allowed.length === 0) return this.#refuse("denied", reachable[0]);
    const open = allowed.filter((one) => port !== MAIL_PORT || guard.isGranted(one, name));
    if (open.length === 0) return this.#refuse("reserved_port", allowed[0]);
    const others = await platform.without(open, port);
    return others.length > 0 ? others : this.#refuse("platform_address", open[0]);
  }

  async #open(far: PassingSocket, first: Buffer): Promise<void> {
    this.#far = far;
    this.#address = far.remoteAddress ?? this.#address;
    const endedWell = await this.#pass(far, first);
    this.#tell("closed", this.#ending ?? (endedWell ? "ok" : "reset"));
  }

  /** Has the injector between both sides; it opens when the host has shown who it is. */
  async #openInjected(far: PassingSocket, first: Buffer): Promise<void> {
    this.#far = far;
    this.#address = far.remoteAddress ?? this.#address;
    const request = { id: this.id, name: this.#to.name as string };
    const carried = this.#around.carry(request, (verdict, why) => this.#tellRefused(verdict, why));
    if (typeof carried === "string") {
      reset(far);
      return void this.#refuse(carried);
    }
    const farPassed = pass({ near: carried.far, far, onBytes: () => true });
    const refusal = await this.#untilOpened(carried);
    if (refusal !== null) {
      carried.drop();
      return void this.#refuse(refusal);
    }
    const endedWell = await this.#pass(carried.near, first);
    carried.drop();
    await farPassed;
    // When the injector died, word of that may come after the end of what it had.
    const isLost = this.#ending === undefined && !(await carried.ended);
    this.#tell("closed", this.#ending ?? (isLost ? "relay_died" : endedWell ? "ok" : "reset"));
  }

  /** Null when it may open. One that is over meanwhile is refused, and nobody is told. */
  async #untilOpened({ opened, drop }: Carried): Promise<EgressRefusal | null> {
    const { signal } = this.#abandoned;
    const over = Promise.withResolvers<EgressRefusal>();
    const giveUp = () => {
      this.#ending ??= "reset";
      drop();
      over.resolve("relay_died");
    };
    signal.addEventListener("abort", giveUp, { once: true });
    if (signal.aborted) giveUp();
    const refusal = await Promise.race([opened, over.promise]);
    signal.removeEventListener("abort", giveUp);
    return refusal;
  }

  /** Passes bytes between the sandbox and a far side, once that is open. */
  #pass(far: PassingSocket, first: Buffer): Promise<boolean> {
    this.#isOpen = true;
    this.#tell("opened", "ok");
    if (first.length > 0 && this.#count("up", first.length)) far.write(first);
    return pass({ near: this.#near, far, onBytes: (direction, bytes) => this.#count(direction, bytes) });
  }

  /** Tells of a request that was refused; the connection goes on. */
  #tellRefused(verdict: EgressRefusal, remedy: string): void {
    if (this.#ending !== undefined) return;
    // A kept connection carries requests of later calls. Its own figures are told at its end.
    const call = this.#around.calls.only ?? this.call;
    const refused = this.#eventOf("refused", verdict, remedy);
    this.#around.tell({ ...refused, call, bytesUp: 0, bytesDown: 0, durationMs: 0 });
  }

  #count(direction: "up" | "down", bytes: number): boolean {
    if (direction === "up") this.#up += bytes;
    else this.#down += bytes;
    this.#lastMs = performance.now();
    const { calls, tenants, policy } = this.#around;
    const isOfTenant = tenants.spend(policy.tenant, bytes);
    if (calls.spend(bytes) && isOfTenant) return true;
    this.#ending ??= isOfTenant ? "bytes_limit" : "tenant_bytes";
    return false;
  }

  #refuse(refusal: EgressRefusal, address?: string): null {
    if (this.#ending === undefined) {
      this.#address = address ?? this.#address;
      this.#tell("refused", refusal, remedyOf(refusal, this.#to.name ?? (this.#to.address as string), this.#to.port));
    }
    reset(this.#near);
    return null;
  }

  #tell(kind: EgressEvent["kind"], verdict: EgressVerdict, remedy?: string): void {
    this.#around.tell(this.#eventOf(kind, verdict, remedy));
  }

  #eventOf(kind: EgressEvent["kind"], verdict: EgressVerdict, remedy?: string): EgressEvent {
    return {
      kind,
      id: this.id,
      call: this.call,
      atMs: Date.now(),
      name: this.#to.name,
      port: this.#to.port,
      address: this.#address,
      bytesUp: this.#up,
      bytesDown: this.#down,
      durationMs: performance.now() - this.#beganMs,
      verdict,
      ...(remedy === undefined ? {} : { remedy }),
    };
  }
}
