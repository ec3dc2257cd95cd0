/**
 * Where a gateway waits for workers that dial: a unix socket for those on its machine, and an
 * address for others where the operator gives one. Whoever has not proven in time that it is a
 * worker is hung up on, and only so many may be about it at once.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmodSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import type { Redis } from "ioredis";
import { settledWithin } from "../../infra/std/time.ts";
import { ByteQueue } from "./byte-queue.ts";
import {
  type Announcement,
  announcementKey,
  bootOfMachine,
  HANDSHAKE_MS,
  HELLO_BYTES,
  newChallenge,
  type Purpose,
  readHello,
  welcomeOf,
} from "./direct-handshake.ts";

const ANNOUNCED_MS = 60_000;
const RENEW_MS = 20_000;
/** Most connections that have not proven yet whose they are; the oldest makes way for a new one. */
const MAX_STRANGERS = 64;
const TOKEN_BYTES = 32;
/** Longest path of a unix socket. */
const MAX_PATH_BYTES = 107;
/** A younger socket that nobody answers at may belong to a gateway that just begins to listen. */
const DEAD_AFTER_MS = 10_000;
const SOCKET_NAME = /^[0-9a-f]{16}\.sock$/;
const KEEP_ALIVE_MS = 10_000;

export interface DirectPlaces {
  /** Directory for the unix socket, made for its owner alone; null: none. */
  socketDir: string | null;
  /** An address of this machine that workers on others reach, for TCP; null: none. */
  address: { host: string; port: number } | null;
}

export interface DirectListenerOptions extends DirectPlaces {
  redis: Redis;
  gatewayId: string;
  /** Gets the connection of a worker, by the name that the worker gives itself there. */
  onWorker: (sender: string, socket: Socket, purpose: Purpose) => void;
  /** Told when workers on this machine cannot dial. */
  onTrouble: (message: string, error?: unknown) => void;
}

export class DirectListener {
  readonly #options: DirectListenerOptions;
  readonly #token = randomBytes(TOKEN_BYTES);
  readonly #servers: Server[] = [];
  /** The oldest first. */
  readonly #strangers = new Set<Socket>();
  #announcement: Announcement | null = null;
  #renewal: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: DirectListenerOptions) {
    this.#options = options;
  }

  /** Connections that have not proven yet whose they are. */
  get strangers(): number {
    return this.#strangers.size;
  }

  /**
   * Listens and announces it. A unix socket that cannot be made is only told of.
   * @throws Error when the address cannot be listened on.
   */
  async start(): Promise<void> {
    const announcement: Announcement = { token: this.#token.toString("base64") };
    const boot = bootOfMachine();
    if (this.#options.socketDir !== null && boot !== null) {
      try {
        announcement.socket = { path: await this.#listenOnSocket(this.#options.socketDir), boot };
      } catch (error) {
        this.#options.onTrouble("workers on this machine cannot dial; their replies go through Redis", error);
      }
    }
    if (this.#options.address !== null) announcement.address = await this.#listenOnAddress(this.#options.address);
    if (this.#isClosed) return this.close();
    if (!announcement.socket && !announcement.address) return;
    this.#announcement = announcement;
    this.#renewal = setInterval(() => void this.announce(), RENEW_MS).unref();
    await this.announce();
  }

  /** Ends listening; connections of workers are not its own any more. */
  close(): void {
    this.#isClosed = true;
    clearInterval(this.#renewal);
    for (const server of this.#servers) server.close();
    for (const stranger of this.#strangers) stranger.destroy();
    // Node removes the file of a socket that it closes.
    this.#announcement = null;
    void this.#options.redis.unlink(announcementKey(this.#options.gatewayId)).catch(() => {});
  }

  /**
   * Says where it listens. Fails quietly: Redis is away, and the next renewal says it again. Say so
   * when Redis is back, too.
   */
  async announce(): Promise<void> {
    if (this.#announcement === null) return;
    const key = announcementKey(this.#options.gatewayId);
    await this.#options.redis.set(key, JSON.stringify(this.#announcement), "PX", ANNOUNCED_MS).catch(() => {});
  }

  async #listenOnSocket(dir: string): Promise<string> {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    // One that was made before may have been opened to others since.
    chmodSync(dir, 0o700);
    await removeDead(dir);
    const path = join(dir, `${randomBytes(8).toString("hex")}.sock`);
    const bytes = Buffer.byteLength(path);
    if (bytes > MAX_PATH_BYTES) {
      throw new Error(`${path} has ${bytes} bytes, and a unix socket's path may have ${MAX_PATH_BYTES}`);
    }
    await this.#listen({ path });
    chmodSync(path, 0o600);
    return path;
  }

  async #listenOnAddress({ host, port }: { host: string; port: number }): Promise<{ host: string; port: number }> {
    const server = await this.#listen({ host, port });
    return { host, port: (server.address() as AddressInfo).port };
  }

  async #listen(where: { path: string } | { host: string; port: number }): Promise<Server> {
    const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS }, (socket) =>
      this.#greet(socket),
    );
    this.#servers.push(server);
    server.listen(where);
    await once(server, "listening");
    // Without descriptors it accepts none, and workers publish.
    server.on("error", (error) => this.#options.onTrouble("a worker could not be accepted", error));
    return server;
  }

  /** Asks a stranger for its proof. */
  #greet(socket: Socket): void {
    const [oldest] = this.#strangers.size >= MAX_STRANGERS ? this.#strangers : [];
    oldest?.destroy();
    this.#strangers.add(socket);
    const own = newChallenge();
    const heard = new ByteQueue();
    const deadline = setTimeout(() => socket.destroy(), HANDSHAKE_MS);
    const forget = () => {
      clearTimeout(deadline);
      this.#strangers.delete(socket);
    };
    socket.on("error", () => {});
    socket.once("close", forget);
    const hear = (bytes: Buffer) => {
      heard.add(bytes);
      if (heard.length < HELLO_BYTES) return;
      const hello = heard.length > HELLO_BYTES ? null : readHello(this.#token, heard.take(HELLO_BYTES), own);
      // A worker says nothing more before it is welcome.
      if (hello === null || this.#isClosed) return void socket.destroy();
      socket.off("data", hear);
      socket.off("close", forget);
      forget();
      socket.write(welcomeOf(this.#token, hello.sender, hello.theirs));
      this.#options.onWorker(hello.sender.toString("hex"), socket, hello.purpose);
    };
    socket.on("data", hear);
    socket.write(own);
  }
}

/** Removes sockets that gateways left which were killed. */
async function removeDead(dir: string): Promise<void> {
  const names = readdirSync(dir).filter((name) => SOCKET_NAME.test(name));
  await Promise.all(names.map((name) => removeIfDead(join(dir, name))));
}

async function removeIfDead(path: string): Promise<void> {
  const made = statSync(path, { throwIfNoEntry: false });
  if (made === undefined || Date.now() - made.mtimeMs < DEAD_AFTER_MS) return;
  const socket = connect(path);
  const refused = once(socket, "connect").then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === "ECONNREFUSED",
  );
  if (await settledWithin(HANDSHAKE_MS, refused)) rmSync(path, { force: true });
  socket.destroy();
}
