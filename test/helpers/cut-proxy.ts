/** A network that can be cut, between a Redis on a unix socket and connections over TCP. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { TestRedis } from "./redis.ts";

interface Flow {
  client: Socket;
  redis: Socket;
  /** null: passes bytes. `held`: until the network is whole again. `dead`: never again. */
  state: "held" | "dead" | null;
}

/**
 * Passes bytes on. While it is cut nothing arrives, on either side, and no end is seen. What was
 * connected before stays dead, as a connection does that TCP will try again in a minute.
 */
export class CutProxy {
  readonly #server = createServer({ pauseOnConnect: true }, (client) => this.#accept(client));
  readonly #socket: string;
  readonly #flows: Flow[] = [];
  #isCut = false;

  private constructor(socket: string) {
    this.#socket = socket;
  }

  static async start(redis: TestRedis): Promise<CutProxy> {
    const proxy = new CutProxy(redis.url.replace("unix://", ""));
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** How many connections stand. */
  get connections(): number {
    return this.#flows.filter(({ client }) => !client.destroyed).length;
  }

  /** Cuts all connections, or some by the order in which they came; new ones wait. */
  cut(isMeant: (index: number) => boolean = () => true): void {
    this.#isCut = true;
    for (const [index, flow] of this.#flows.entries()) if (isMeant(index)) stop(flow, "dead");
  }

  /** From now on new connections, and those that wait, are served. */
  heal(): void {
    this.#isCut = false;
    for (const flow of this.#flows) {
      if (flow.state !== "held") continue;
      flow.state = null;
      flow.client.resume();
      flow.redis.resume();
    }
  }

  stop(): void {
    this.#server.close();
    for (const { client, redis } of this.#flows) {
      client.destroy();
      redis.destroy();
    }
  }

  #accept(client: Socket): void {
    const redis = connect(this.#socket);
    const flow: Flow = { client, redis, state: null };
    this.#flows.push(flow);
    pass(flow, client, redis);
    pass(flow, redis, client);
    if (this.#isCut) stop(flow, "held");
    else client.resume();
  }
}

function stop(flow: Flow, state: "held" | "dead"): void {
  flow.state ??= state;
  flow.client.pause();
  flow.redis.pause();
}

function pass(flow: Flow, from: Socket, to: Socket): void {
  from.on("data", (bytes) => to.write(bytes));
  from.on("error", () => {});
  from.on("close", () => flow.state === null && to.destroy());
}

/** Options of a connection through a proxy, for `connect` of a test's Redis. */
export function through(proxy: CutProxy): NonNullable<Parameters<TestRedis["connect"]>[0]> {
  return { path: "", host: "127.0.0.1", port: proxy.port };
}
