/** What a client sends ahead costs it its own time, and nobody memory. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { after, afterEach, before, describe, it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Clients } from "../../../gateway/http/clients.ts";
import { Hosts } from "../../../gateway/http/hosts.ts";
import { createGatewayServer } from "../../../gateway/server.ts";
import { RawClient, startTestGateway, type TestGateway } from "../../helpers/gateway.ts";

/** Requests of all framings, numbered by their path. */
function requests(count: number): string {
  const one = (i: number): string => {
    const line = (method: string) => `${method} /fn/main/hello/${i} HTTP/1.1\r\nhost: a\r\n`;
    if (i % 4 === 0) return `${line("GET")}\r\n`;
    if (i % 4 === 1) return `${line("POST")}content-length: 9\r\n\r\nab\r\n\r\ncde`;
    if (i % 4 === 2) return `${line("POST")}transfer-encoding: chunked\r\n\r\n5\r\na\r\n\r\n\r\n0\r\n\r\n`;
    return `\r\n${line("DELETE")}content-length: 0\r\n\r\n`;
  };
  return Array.from({ length: count }, (_, i) => one(i)).join("");
}

/** Sends a text in pieces of one length, each of which arrives by itself. */
async function sendIn(client: RawClient, text: string, length: number): Promise<void> {
  client.socket.setNoDelay(true);
  for (let at = 0; at < text.length; at += length) {
    client.send(text.slice(at, at + length));
    await nextTurn();
  }
}

describe("a gateway", () => {
  let test: TestGateway;
  before(async () => {
    test = await startTestGateway();
  });
  after(async () => {
    await test.stop();
    assert.deepEqual(test.logged, []);
  });

  it("runs the requests of a connection one by one, in order, however they arrive", async () => {
    for (const length of [100_000, 97, 3, 1]) {
      const paths: string[] = [];
      let [running, most] = [0, 0];
      test.answer = async ({ request: { path } }) => {
        most = Math.max(most, ++running);
        await nextTurn();
        running--;
        paths.push(path);
        return { body: Buffer.from(`<${path}>`) };
      };
      const count = length < 10 ? 8 : 60;
      const client = new RawClient(test.url);
      const sent = sendIn(client, requests(count), length);
      const answers = await client.until(new RegExp(`</${count - 1}>`));
      await sent;
      client.close();
      const expected = Array.from({ length: count }, (_, i) => `/${i}`);
      assert.deepEqual([paths, most], [expected, 1], `in pieces of ${length}`);
      assert.deepEqual(answers.match(/(?<=<)\/\d+(?=>)/g), expected);
    }
  });

  it("answers others while many connections ask far ahead for what does not exist", async () => {
    const ahead = "GET /fn/main/nothing HTTP/1.1\r\nhost: a\r\n\r\n".repeat(300);
    let answered = 0;
    const attackers = Array.from({ length: 200 }, () => new RawClient(test.url));
    for (const { socket } of attackers)
      socket.on("data", (text) => (answered += String(text).split("HTTP/1.1 404").length - 1));
    await Promise.all(attackers.map(({ socket }) => once(socket, "connect")));
    for (const attacker of attackers) attacker.send(ahead);
    while (answered === 0) await nextTurn();
    assert.equal((await fetch(`${test.url}/healthz`)).status, 200);
    // Another's request takes some turns of all connections; behind all of them it would see 60,000
    // answers.
    assert.ok(answered < 30_000, `${answered} answers came before`);
    for (const attacker of attackers) attacker.close();
  });
});

describe("its server", () => {
  const sockets: Socket[] = [];
  const begun: ServerResponse[] = [];
  let server: Server;
  let url: string;
  const listen = async (unreadMs?: number) => {
    sockets.splice(0);
    begun.splice(0);
    ({ server } = createGatewayServer({
      maxHeaderBytes: 16_384,
      clients: new Clients({
        trustedProxies: [],
        unlimitedClients: ["127.0.0.1"],
        maxClientConnections: 0,
        maxClientRequestsPerSecond: 0,
      }),
      hosts: new Hosts({ functionDomain: "localhost", gatewayHosts: [], publicUrl: null }),
      ...(unreadMs !== undefined && { unreadMs }),
      invoke(request: IncomingMessage, response: ServerResponse) {
        request.resume();
        begun.push(response);
        server.emit("begun");
      },
      control: () => assert.fail("nobody asked"),
    }));
    server.on("connection", (socket) => sockets.push(socket));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };
  /** Answers what was asked last, and waits until each connection asks once more. */
  const nextRound = async () => {
    const count = begun.length + 20;
    for (const response of begun.slice(-20)) response.end("x");
    while (begun.length < count) await once(server, "begun");
  };
  /**
   * Has a client send three requests in two parts, of which the first ends within or behind the
   * first request.
   */
  const parted = async (first: string, rest: string) => {
    const [connected, asked] = [sockets.length + 1, begun.length + 1];
    const client = new RawClient(url);
    client.send(first);
    while (sockets.length < connected || sockets.at(-1)?.bytesRead !== first.length) await nextTurn();
    client.send(rest);
    while (sockets.at(-1)?.bytesRead !== first.length + rest.length) await nextTurn();
    while (begun.length < asked) await once(server, "begun");
    assert.equal(begun.length, asked, `parted between ${JSON.stringify([first, rest])}`);
    client.close();
  };
  const stop = () => {
    server.closeAllConnections();
    server.close();
  };
  afterEach(stop);

  it("holds one request of each connection, and the bytes of few", async () => {
    await listen();
    const many = "POST /fn/a/b HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc".repeat(60_000);
    const clients = Array.from({ length: 20 }, () => new RawClient(url));
    for (const client of clients) client.send(many);
    while (begun.length < 20) await once(server, "begun");
    // Three megabytes are more than a connection's buffers take, so that a server which goes on
    // reading never pauses.
    while (begun.length === 20 && !sockets.every((socket) => socket.isPaused())) await nextTurn();
    assert.equal(begun.length, 20);
    for (let round = 0; round < 5; round++) {
      for (const { bytesRead } of sockets) assert.ok(bytesRead <= 2 * 64 * 1024, `${bytesRead} bytes were read`);
      await nextRound();
    }
    for (const client of clients) client.close();
  });

  it("sees where a request ends, wherever its bytes are parted", async () => {
    await listen();
    const get = "GET /fn/a/b HTTP/1.1\r\nhost: a\r\n\r\n";
    const post = "POST /fn/a/b HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n";
    for (const first of [get, `${post}abcd`, `${post}\r\n\r\n`]) {
      for (let at = 1; at <= first.length; at++) await parted(first.slice(0, at), first.slice(at) + get + get);
    }
  });

  it("runs nothing more for a client that does not read, and ends with it", async () => {
    await listen(50);
    const client = new RawClient(url);
    client.socket.pause();
    client.send("GET /fn/a/b HTTP/1.1\r\nhost: a\r\n\r\n".repeat(1_000));
    const answer = Buffer.alloc(1024 * 1024);
    let answers = 0;
    for (;;) {
      if (begun.length === answers) await once(server, "begun");
      const response = begun[answers++] as ServerResponse;
      response.end(answer);
      const over = await Promise.race([
        once(response, "finish").then(() => false),
        once(response, "close").then(() => true),
      ]);
      if (over) break;
    }
    assert.equal(begun.length, answers);
    assert.ok(answers < 100, `${answers} MiB were said to a client that reads nothing`);
    assert.ok(sockets[0]?.destroyed);
    client.close();
  });

  it("waits for a call for as long as that takes", async () => {
    await listen(50);
    const client = new RawClient(url);
    client.send("GET /fn/a/b HTTP/1.1\r\nhost: a\r\n\r\n");
    await once(server, "begun");
    await once(server, "timeout");
    begun[0]?.end("late");
    assert.match(await client.until(/late$/), /^HTTP\/1.1 200 /);
    client.close();
  });
});
