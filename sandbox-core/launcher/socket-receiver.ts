/**
 * The worker's socket, to which every sandbox is connected before it is locked in. The socket lies
 * in a directory that only root may enter. A token says which sandbox a connection belongs to; a
 * connection without one is cut. No descriptor comes over any of them.
 */
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { HELLO_BYTES } from "../protocol/control.ts";
import { refuseDescriptors } from "../syscall/steps.ts";
import { descriptorOf } from "./handle.ts";

const HELLO_TIMEOUT_MS = 5_000;

/** Connections that are waited for under one token, by name. */
interface Expectation {
  missing: Set<string>;
  sockets: Map<string, Socket>;
  fulfil: (sockets: Map<string, Socket>) => void;
}

export class Receiver {
  readonly #server: Server;
  readonly #expected = new Map<string, Expectation>();

  private constructor(server: Server) {
    this.#server = server;
    server.on("connection", (socket) => this.#greet(socket));
  }

  static async listen(path: string): Promise<Receiver> {
    const server = createServer();
    server.listen({ path, backlog: 1024 });
    await once(server, "listening");
    // Nobody knows the path yet, and connections have what the listening socket has.
    refuseDescriptors(descriptorOf(server));
    return new Receiver(server);
  }

  /** Resolves once every named connection is there; `forget` the token if it is never to come. */
  expect(token: string, names: readonly string[]): Promise<Map<string, Socket>> {
    if (names.length === 0) return Promise.resolve(new Map());
    return new Promise((fulfil) => this.#expected.set(token, { missing: new Set(names), sockets: new Map(), fulfil }));
  }

  /** Gives up on a token and cuts what came under it. */
  forget(token: string): void {
    for (const socket of this.#expected.get(token)?.sockets.values() ?? []) socket.destroy();
    this.#expected.delete(token);
  }

  close(): void {
    for (const token of this.#expected.keys()) this.forget(token);
    this.#server.close();
  }

  /** Reads the greeting and no byte more: what follows is the sandbox's, and hostile. */
  #greet(socket: Socket): void {
    socket.on("error", () => socket.destroy());
    socket.setTimeout(HELLO_TIMEOUT_MS, () => socket.destroy());
    const onReadable = () => {
      const greeting = socket.read(HELLO_BYTES) as Buffer | null;
      if (greeting === null) return;
      socket.off("readable", onReadable);
      socket.setTimeout(0);
      socket.removeAllListeners("timeout");
      const [token = "", name = ""] = greeting.toString("latin1").trimEnd().split(" ");
      this.#admit(token, name, socket);
    };
    socket.on("readable", onReadable);
  }

  #admit(token: string, name: string, socket: Socket): void {
    const expectation = this.#expected.get(token);
    if (!expectation?.missing.delete(name)) return void socket.destroy();
    expectation.sockets.set(name, socket);
    if (expectation.missing.size > 0) return;
    this.#expected.delete(token);
    expectation.fulfil(expectation.sockets);
  }
}
