/** Sandboxes with egress for tests, and what was told of it. */
import { readFileSync } from "node:fs";
import type { EgressEvent, EgressPolicy, EgressRule, SandboxEgress } from "../../sandbox-core/contract/egress.ts";
import type { EgressRelay } from "../../sandbox-core/launcher/egress-relay.ts";
import type { ZygoteLauncher } from "../../sandbox-core/launcher/launcher.ts";
import { eventually } from "./eventually.ts";
import { SandboxClient } from "./sandbox-client.ts";

/** The injector of a relay in this process, whose child it is. */
export function injectorPid(): number {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").trim().split(" ").map(Number);
  const found = children.find((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("/injector/main.ts"));
  if (found === undefined) throw new Error("there is no injector");
  return found;
}

/** `db.example:5432,.aws.example:443,10.0.0.5:5432,public` as rules; ports are joined by "+". */
export function rulesOf(text: string): EgressRule[] {
  return text.split(",").map((one): EgressRule => {
    if (one === "public") return { to: { kind: "public" }, ports: [80, 443] };
    const [host = "", ports = ""] = one.split(":");
    const to = /^[\d.]+$/.test(host)
      ? ({ kind: "address", address: host } as const)
      : host.startsWith(".")
        ? ({ kind: "suffix", suffix: host } as const)
        : ({ kind: "name", name: host } as const);
    return { to, ports: ports.split("+").map(Number) };
  });
}

export function policyOf(rules: string, more: Partial<EgressPolicy> = {}): EgressPolicy {
  return {
    tenant: "main",
    rules: rulesOf(rules),
    privateRanges: [],
    deny: [],
    limits: { connections: 50, connectionsPerSecond: 200, bytes: 1 << 30 },
    ...more,
  };
}

/**
 * A function that gives what an expression is, or the code of its error. It has `net`, `dns`,
 * `tls`, `https`, `http2`, `dgram` and `talk(port, host, bytes)`: what comes back, up to the end or
 * as many bytes.
 */
export function talking(expression: string): string {
  return `
    import net from "node:net"; import dns from "node:dns"; import tls from "node:tls"; import dgram from "node:dgram";
    import https from "node:https"; import http2 from "node:http2";
    import { once } from "node:events";
    const code = (e) => ({ error: e.cause?.code ?? e.code ?? e.message });
    const talk = (port, host, bytes, many = Infinity) => new Promise((resolve, reject) => {
      const socket = net.connect({ port, host, allowHalfOpen: false });
      let text = "";
      socket.on("error", reject).on("close", () => resolve(text));
      socket.on("data", (chunk) => { text += chunk; if (text.length >= many) socket.destroy(); });
      socket.on("connect", () => { if (bytes !== undefined) socket.write(bytes); });
    });
    const kept = (globalThis.kept ??= []);
    export default async (request) => Response.json(await (async () => (${expression}))().catch(code) ?? null);
  `;
}

export class EgressClient implements AsyncDisposable {
  readonly client: SandboxClient;
  readonly egress: SandboxEgress;
  readonly events: EgressEvent[];

  private constructor(client: SandboxClient, egress: SandboxEgress, events: EgressEvent[]) {
    this.client = client;
    this.egress = egress;
    this.events = events;
  }

  static async open(launcher: ZygoteLauncher, relay: EgressRelay, policy: EgressPolicy, expression: string) {
    const client = await SandboxClient.blank(launcher, {}, relay.socketsOf(policy));
    const events: EgressEvent[] = [];
    const egress = await relay.open(client.sandbox, policy, (event) => events.push(event));
    const loaded = await client.load(talking(expression), { caCertificate: egress.injector?.caCertificate });
    if (loaded.type === "load_failed") throw new Error(loaded.error.message);
    return new EgressClient(client, egress, events);
  }

  /** The value of the expression. */
  async value(): Promise<unknown> {
    return JSON.parse(await this.client.text());
  }

  /** The first event of that kind, and of that verdict if one is given. */
  async told(kind: EgressEvent["kind"], verdict?: string): Promise<EgressEvent> {
    const find = () => this.events.find((event) => event.kind === kind && (verdict ?? event.verdict) === event.verdict);
    await eventually(() => find() !== undefined);
    return find() as EgressEvent;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.client[Symbol.asyncDispose]();
  }
}
