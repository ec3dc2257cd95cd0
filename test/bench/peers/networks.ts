/**
 * Ways by which a sandbox reaches a server: the relay of egress, none at all (the server is in the
 * sandbox's own network), slirp4netns, and a pair of veth devices with NAT. Servers, relay and
 * devices live in network namespaces that the bench has made, and no packet leaves the machine.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { ensureProgram } from "../../../infra/up/apt-install.ts";
import { createSteps } from "../../../infra/up/steps.ts";
import { EgressRelay } from "../../../sandbox-core/launcher/egress-relay.ts";
import { policyOf } from "../../helpers/egress.ts";
import type { SandboxClient } from "../../helpers/sandbox-client.ts";
import { tempDir } from "../../helpers/temp-dir.ts";
import { SERVER_PORTS } from "../measure/network-ports.ts";

/** An address that looks public, which the servers have. */
const SERVER = "45.1.2.3";
const NAME = "server.example";
const PROGRAMS = "/usr/sbin:/sbin";
/** Both ends of the veth pair, and what connections over it seem to come from. */
const VETH = { near: "10.77.0.1", far: "10.77.0.2", seenAs: "45.0.0.1" } as const;
/** Bytes that no block comes near to. */
const UNLIMITED = 2 ** 50;

/** A policy that declares the three servers, or as many others. */
export const THREE_PORTS = {
  ...policyOf(`${NAME}:${Object.values(SERVER_PORTS).join("+")}`),
  limits: { connections: 50, connectionsPerSecond: 200, bytes: UNLIMITED },
};

/** The small internet: servers in a network namespace of their own. */
export class Internet implements AsyncDisposable {
  readonly #server: ChildProcess;

  private constructor(server: ChildProcess) {
    this.#server = server;
  }

  static async open(): Promise<Internet> {
    return new Internet(await startServer());
  }

  get namespace(): string {
    return namespaceOf(this.#server.pid as number);
  }

  /** A relay that lives there, and has asked nobody where the servers are. */
  relay(): EgressRelay {
    const directory = tempDir();
    // The relay is another user.
    chmodSync(directory, 0o755);
    const hostsFile = join(directory, "hosts");
    writeFileSync(hostsFile, `${SERVER} ${NAME}\n`);
    return new EgressRelay({ networkNamespace: this.namespace, hostsFile, nameServers: ["127.0.0.1:9"] });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await ended(this.#server, "SIGKILL");
  }
}

/** Gives the sandbox of a client a network. @returns the host that the servers are at */
export type Connecting = (
  client: SandboxClient,
  parts: { internet: Internet; started: AsyncDisposableStack },
) => Promise<string>;

/** The server itself is in the sandbox's network: nothing is between. */
export const connectDirectly: Connecting = async ({ sandbox }, { started }) => {
  const server = await startServer(namespaceOf(sandbox.pid));
  started.defer(() => ended(server, "SIGKILL"));
  return "127.0.0.1";
};

export function connectByRelay(relay: EgressRelay): Connecting {
  return async ({ sandbox }) => {
    await relay.open(sandbox, THREE_PORTS, () => undefined);
    return NAME;
  };
}

/** Others' networks, by name. @throws Error, with why the machine does not have them */
export const OTHER_NETWORKS: Readonly<Record<string, Connecting>> = {
  async slirp4netns({ sandbox }, { internet, started }) {
    const program = await find("slirp4netns", "slirp4netns");
    const options = ["--configure", "--mtu=65520", "--disable-dns", "--ready-fd=3", "--netns-type=path"];
    const argv = [program, ...options, namespaceOf(sandbox.pid), "tap0"];
    const child = spawn("nsenter", [`--net=${internet.namespace}`, ...argv], {
      stdio: ["ignore", "ignore", "pipe", "pipe"],
    });
    started.defer(() => ended(child, "SIGTERM"));
    const words = text(child.stderr as NonNullable<typeof child.stderr>);
    const failed = once(child, "exit").then(async () => Promise.reject(new Error(`it ended: ${await words}`)));
    await Promise.race([once(child.stdio[3] as NonNullable<typeof child.stdout>, "data"), failed]);
    failed.catch(() => undefined);
    return SERVER;
  },
  async "veth with NAT"({ sandbox }, { internet }) {
    const [ip, nft] = [await find("ip", "iproute2"), await find("nft", "nftables")];
    const [here, there] = [internet.namespace, namespaceOf(sandbox.pid)];
    const steps: [namespace: string, command: string][] = [
      [here, `${ip} link add near type veth peer name far netns ${sandbox.pid}`],
      [here, `${ip} address add ${VETH.near}/30 dev near`],
      [here, `${ip} link set near up`],
      [there, `${ip} address add ${VETH.far}/30 dev far`],
      [there, `${ip} link set far up`],
      [there, `${ip} route add default via ${VETH.near}`],
      [here, `${nft} add table ip nat`],
      [here, `${nft} add chain ip nat in { type nat hook input priority 100 ; }`],
      [here, `${nft} add rule ip nat in iifname near snat to ${VETH.seenAs}`],
    ];
    for (const [namespace, command] of steps) await run(["nsenter", `--net=${namespace}`, ...command.split(" ")]);
    return SERVER;
  },
};

function find(program: string, packageName: string): Promise<string> {
  const wanted = { program, packages: [packageName], otherwise: `install ${packageName}` };
  const env = { ...process.env, PATH: `${process.env.PATH}:${PROGRAMS}` };
  return ensureProgram(wanted, env, createSteps(process.stderr, false));
}

async function run([program = "", ...args]: readonly string[]): Promise<void> {
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
  const [words, [code]] = await Promise.all([text(child.stderr), once(child, "exit")]);
  if (code !== 0) throw new Error(`${args.slice(1).join(" ")} ended with ${code}: ${words.trim()}`);
}

async function startServer(...args: string[]): Promise<ChildProcess> {
  const script = join(import.meta.dirname, "../measure/network-server.ts");
  const child = spawn(process.execPath, [script, ...args], { env: {}, stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const failed = once(child, "exit").then(([code]) =>
    Promise.reject(new Error(`network-server.ts ended with ${code}`)),
  );
  await Promise.race([once(child, "message"), failed]);
  failed.catch(() => undefined);
  return child;
}

async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill(signal);
  await gone;
}

function namespaceOf(pid: number): string {
  return `/proc/${pid}/ns/net`;
}
