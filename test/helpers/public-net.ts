/**
 * A small internet in a network namespace of its own: addresses that look public, servers at all of
 * them, and a name server that the test answers for. A relay is told to live in it, so that nothing
 * of a test touches a real network.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** Every address of 45.0.0.0/8 and 46.0.0.0/8, and 10.9.0.0/16, leads to the servers. */
export const PUBLIC = "45.1.2.3";
export const OTHER_PUBLIC = "46.1.2.3";
export const PRIVATE = "10.9.1.1";
/** Servers: what comes is given back; what comes is thrown away; nobody is there. */
export const PORTS = { tls: 443, http: 80, mail: 25, echo: 7000, sink: 7001, nobody: 7002 } as const;
export const NAME_SERVER = "127.0.0.1:5353";

export class PublicNet implements AsyncDisposable {
  readonly #child: ChildProcess;
  /** Of each name that was asked for, how often. */
  readonly asked = new Map<string, number>();
  /** The addresses of a name, by how often it was asked for before. */
  answer: (name: string, before: number) => readonly string[] = () => [];

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on("message", ({ id, name }: { id: number; name: string }) => {
      const before = this.asked.get(name) ?? 0;
      this.asked.set(name, before + 1);
      child.send({ id, addresses: this.answer(name, before) });
    });
  }

  static async open(): Promise<PublicNet> {
    const main = fileURLToPath(import.meta.resolve("./public-net-main.ts"));
    const child = spawn(process.execPath, [main], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    await once(child, "message");
    return new PublicNet(child);
  }

  /** The path of its namespace, for a relay. */
  get namespace(): string {
    return `/proc/${this.#child.pid}/ns/net`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await gone;
  }
}
