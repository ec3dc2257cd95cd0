/** Functions that connect to what they declare, over a real relay, to servers on loopback. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { chmodSync, mkdtempSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { changeGrants } from "../../functions/store/egress-grants.ts";
import { readLogs } from "../../functions/store/logs.ts";
import { CancellationSender } from "../../functions/transport/cancellations.ts";
import { loadConfig } from "../../infra/config.ts";
import { relaySettings } from "../../worker/egress-settings.ts";
import { eventually } from "../helpers/eventually.ts";
import { tempDir } from "../helpers/temp-dir.ts";
import { TestWorker } from "../helpers/worker.ts";

const base = tempDir();
/** Names that the relay knows, all at the loopback of the host. */
const HOSTS = "127.0.0.1 web.example.com echo.example.com a.wild.example.org\n";
const LIMITS = { SANDPIPER_EGRESS_MAX_CONNECTIONS: "4", SANDPIPER_EGRESS_MAX_BYTES: "100000" };

let test: TestWorker;
let web: number;
let echo: number;
/** The port that the worker takes for its gateway's. */
let gatewayPort: number;
/** Connections that the echo server has. */
const sockets = new Set<Socket>();
const servers: Server[] = [];
/** Has clients leave. */
let sender: CancellationSender;

before(async () => {
  web = await listen(createHttpServer((request, response) => response.end(`you asked ${request.headers.host}`)));
  echo = await listen(
    createServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => {}).on("close", () => sockets.delete(socket));
      socket.pipe(socket);
    }),
  );
  const directory = mkdtempSync(join(base, "hosts-"));
  for (const path of [base, directory]) chmodSync(path, 0o755);
  writeFileSync(join(directory, "hosts"), HOSTS);
  gatewayPort = await listen(createServer((socket) => socket.pipe(socket)));
  const SANDPIPER_PORT = String(gatewayPort);
  test = await TestWorker.start({ ...LIMITS, SANDPIPER_PORT, SANDPIPER_EGRESS_HOSTS_FILE: join(directory, "hosts") });
  sender = new CancellationSender(test.redis.connect());
  await grant("main", "127.0.0.0/8");
});
after(async () => {
  await test.stop();
  for (const server of servers) server.close();
});

async function listen<S extends Server>(server: S): Promise<number> {
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

const grant = (tenant: string, ...ranges: string[]) =>
  changeGrants(test.connection, tenant, () => ({ allow: null, deny: [], private: ranges }));

/** A function that fetches or connects as its path says, and answers with what came of it. */
const CLIENT = `
import { connect } from "node:net";
import { once } from "node:events";
let kept;
async function open(host, port) {
  const socket = connect({ host, port });
  await once(socket, "connect");
  return socket;
}
async function said(socket, text) {
  socket.write(text);
  const [bytes] = await once(socket, "data");
  return String(bytes);
}
export default async (request) => {
  const url = new URL(request.url);
  const [what, host, port] = url.pathname.split("/").slice(-3);
  try {
    if (what === "fetch") return await (await fetch("http://" + host + ":" + port + "/")).text();
    if (what === "keep") {
      kept ??= (await open(host, port)).on("error", () => {}).on("close", () => { kept = undefined; });
      return await said(kept, "kept");
    }
    if (what === "has") return kept === undefined ? "nothing" : "a connection";
    const socket = await open(host, port);
    if (what === "hang") { socket.on("error", () => {}); await new Promise(() => setInterval(() => {}, 1000)); }
    if (what === "flood") {
      socket.on("data", () => {});
      for (;;) if (!socket.write(Buffer.alloc(65536))) await once(socket, "drain");
    }
    if (what === "wait") {
      kept = socket.on("error", () => {}).on("close", () => { kept = undefined; });
      await said(socket, "here");
      console.log("connected");
      await new Promise((left) => request.signal.addEventListener("abort", left));
      return "for nobody";
    }
    if (what === "throw") { await once(socket, "close"); throw new Error("the connection was lost"); }
    const answer = await said(socket, "hello");
    socket.destroy();
    return answer;
  } catch (error) {
    if (what === "throw") throw error;
    const cause = error.cause ?? error;
    if (!url.searchParams.has("silent")) console.error(cause.message);
    return String(cause.code ?? cause.message);
  }
};
`;

/** Waits for words of the platform in a call's log: some are heard after its end. */
async function said(name: string, id: string, words: RegExp): Promise<void> {
  await eventually(async () => {
    const lines = (await test.logs(name, id)).filter(({ source }) => source === "platform");
    return lines.some(({ text }) => words.test(text));
  });
}

describe("a function with egress", () => {
  before(async () => {
    const egress = [`web.example.com:${web}`, `echo.example.com:${echo}`, `*.wild.example.org:${echo}`];
    await test.deploy("client", CLIENT, { egress });
    await test.deploy("plain", CLIENT);
  });

  it("reaches the names that it declares, by any client", async () => {
    assert.equal(
      (await test.call("client", { path: `/fetch/web.example.com/${web}` })).text,
      `you asked web.example.com:${web}`,
    );
    assert.equal((await test.call("client", { path: `/talk/echo.example.com/${echo}` })).text, "hello");
    assert.equal((await test.call("client", { path: `/talk/a.wild.example.org/${echo}` })).text, "hello");
  });

  it("is told at once what it does not declare, and its log says what to add", async () => {
    const cases: [string, string, RegExp][] = [
      [
        `/talk/other.example.com/${echo}`,
        "ENOTFOUND",
        /other\.example\.com.*add .*other\.example\.com.* to "egress" in sandpiper\.jsonc/,
      ],
      ["/talk/web.example.com/9", "ECONNREFUSED", /Port 9 is not declared.*":9" to "egress"/],
      [`/talk/web.example.com/${echo}`, "ECONNRESET", new RegExp(`add "web\\.example\\.com:${echo}" to "egress"`)],
      ["/talk/8.8.8.8/53", "ENETUNREACH", /8\.8\.8\.8:53 is not declared.*add "8\.8\.8\.8:53" to "egress"/],
    ];
    for (const [path, code, words] of cases) {
      const answered = await test.call("client", { path });
      assert.match(answered.text, new RegExp(code), path);
      await said("client", answered.id, words);
    }
  });

  it("is told once and no more, whether or not it keeps the error to itself", async () => {
    const cases: [string, string, RegExp][] = [
      ["client", "/fetch/web.example.com/1234", /^Port 1234 is not declared/],
      ["client", "/talk/8.8.8.8/53", /^8\.8\.8\.8:53 is not declared/],
      ["plain", `/talk/echo.example.com/${echo}`, /^echo\.example\.com is not declared/],
      ["plain", "/fetch/192.0.2.1/80", /^192\.0\.2\.1:80 is not declared/],
    ];
    for (const [name, path, words] of cases)
      for (const query of ["?silent", ""]) {
        const { id } = await test.call(name, { path: path + query });
        await said(name, id, words);
        const lines = await test.logs(name, id);
        assert.equal(lines.filter(({ text }) => words.test(text)).length, 1, path + query);
        const written = lines.filter(({ source }) => source !== "platform");
        assert.equal(written.length, query === "" ? 1 : 0, path + query);
      }
  });

  it("reaches nothing when it declares nothing, and hears why", async () => {
    const answered = await test.call("plain", { path: `/talk/echo.example.com/${echo}` });
    assert.match(answered.text, /ENOTFOUND|EAI_AGAIN/);
    await said("plain", answered.id, /echo\.example\.com is not declared.*add "echo\.example\.com"/);
  });

  it("keeps a connection for its next call, and none that a timed-out call opened", async () => {
    const first = await test.call("client", { path: `/keep/echo.example.com/${echo}` });
    const second = await test.call("client", { path: "/has/none/0" });
    assert.deepEqual([first.text, second.text], ["kept", "a connection"]);
    await test.deploy("slow", CLIENT, { egress: [`echo.example.com:${echo}`], timeoutMs: 500 });
    const before = sockets.size;
    assert.equal((await test.call("slow", { path: `/hang/echo.example.com/${echo}` })).outcome, "timeout");
    await eventually(() => sockets.size === before);
  });

  it("keeps no connection of a call whose client left, and those of earlier calls", async () => {
    await test.deploy("left", CLIENT, { egress: [`echo.example.com:${echo}`] });
    const before = sockets.size;
    assert.equal((await test.call("left", { path: `/keep/echo.example.com/${echo}` })).text, "kept");
    const id = randomUUID();
    void test.call("left", { id, path: `/wait/echo.example.com/${echo}` });
    await eventually(async () => (await test.lines("left", id)).includes("connected"));
    assert.equal(sockets.size, before + 2);
    sender.send({ id, overAtMs: Date.now() + 60_000 });
    assert.equal((await test.record(id)).outcome, "cancelled");
    await eventually(() => sockets.size === before + 1);
    // The instance is the same one: its module has seen the connection close.
    await eventually(async () => (await test.call("left", { path: "/has/none/0" })).text === "nothing");
    assert.equal(sockets.size, before + 1);
  });

  it("has its connections in the records of its calls, also those that stay open", async () => {
    await test.deploy("noted", CLIENT, { egress: [`echo.example.com:${echo}`] });
    const recorded = async (path: string) => (await test.record((await test.call("noted", { path })).id)).egress;
    const kept = await recorded(`/keep/echo.example.com/${echo}`);
    const { startedAtMs = 0, durationMs = 0, ...connection } = kept?.connections[0] ?? {};
    const expected = { host: "echo.example.com", port: echo, address: "127.0.0.1", bytesUp: 4, bytesDown: 4 };
    assert.deepEqual(connection, { ...expected, verdict: "kept" });
    assert.ok(startedAtMs > 0 && durationMs > 0);
    assert.equal(await recorded("/has/none/0"), undefined);
    const refused = await recorded(`/talk/other.example.com/${echo}`);
    const { host, port, verdict } = refused?.connections[0] ?? {};
    assert.deepEqual([host, port, verdict], ["other.example.com", undefined, "undeclared_name"]);
    const id = randomUUID();
    void test.call("noted", { id, path: `/wait/echo.example.com/${echo}` });
    // Its relay has told of it by then, which the time limit of a call would not wait for.
    await eventually(async () => (await test.lines("noted", id)).includes("connected"));
    sender.send({ id, overAtMs: Date.now() + 60_000 });
    const cut = (await test.record(id)).egress?.connections.map((one) => one.verdict);
    assert.match(String(cut), /^(?:call_ended|sandbox_ended)$/);
  });

  it("has nothing about connections in the records of a function that declares none", async () => {
    assert.ok(!("egress" in (await test.record((await test.call("plain", { path: "/has/none/0" })).id))));
  });

  it("begins each call without connections under the isolation of invocations", async () => {
    await test.deploy("each", CLIENT, { egress: [`echo.example.com:${echo}`], isolation: "invocation" });
    const before = sockets.size;
    assert.equal((await test.call("each", { path: `/keep/echo.example.com/${echo}` })).text, "kept");
    assert.equal((await test.call("each", { path: "/has/none/0" })).text, "nothing");
    await eventually(() => sockets.size === before);
  });

  it("is kept to its limits, which its log names", async () => {
    const answered = await test.call("client", { path: `/flood/echo.example.com/${echo}` });
    assert.match(answered.text, /ECONNRESET|EPIPE|ERR_STREAM/);
    await said("client", answered.id, /cut.*SANDPIPER_EGRESS_MAX_BYTES/);
  });
});

describe("limits of a tenant", () => {
  it("reach the relay where they are set", () => {
    const limits = (env: Record<string, string>) => relaySettings(loadConfig(env), () => {}).tenantLimits;
    assert.deepEqual(limits({}), {});
    const env = {
      SANDPIPER_EGRESS_MAX_TENANT_CONNECTIONS: "5",
      SANDPIPER_EGRESS_MAX_TENANT_CONNECTIONS_PER_SECOND: "6",
      SANDPIPER_EGRESS_MAX_TENANT_BYTES_PER_HOUR: "7",
    };
    assert.deepEqual(limits(env), { connections: 5, connectionsPerSecond: 6, bytesPerHour: 7 });
  });
});

describe("the platform's own hosts", () => {
  it("are out of reach, whatever is declared and granted", async () => {
    await test.deploy("thief", CLIENT, { egress: [`web.example.com:${gatewayPort}`] });
    const answered = await test.call("thief", { path: `/talk/web.example.com/${gatewayPort}` });
    assert.match(answered.text, /ECONNRESET/);
    await said("thief", answered.id, /was not reached \(platform_address\)/);
  });
});

describe("grants", () => {
  it("bound what is in force when a sandbox starts, and reach those that run", async () => {
    const egress = [`echo.example.com:${echo}`];
    await grant("bound", "127.0.0.0/8");
    await test.deploy("client", CLIENT, { egress, tenant: "bound" });
    const path = `/keep/echo.example.com/${echo}`;
    const before = sockets.size;
    assert.equal((await test.call("bound/client", { path })).text, "kept");
    assert.equal(sockets.size, before + 1);
    await changeGrants(test.connection, "bound", () => ({ allow: [], deny: [], private: [] }));
    await eventually(() => sockets.size === before);
    const refused = await test.call("bound/client", { path });
    assert.match(refused.text, /ENOTFOUND/);
    const deny = ["127.0.0.0/16:*", "127.1.0.1:*"];
    await changeGrants(test.connection, "bound", () => ({ allow: null, deny, private: ["127.0.0.0/8"] }));
    await eventually(async () => (await test.call("bound/client", { path })).text === "ECONNRESET");
    await grant("bound", "127.0.0.0/8");
    await eventually(async () => (await test.call("bound/client", { path })).text === "kept");
  });
});

describe("a name at a private address", () => {
  it("is refused with the command that grants it, and reached once it is granted by name", async () => {
    await test.deploy("inner", CLIENT, { egress: [`echo.example.com:${echo}`], tenant: "inner" });
    const path = `/talk/echo.example.com/${echo}`;
    const refused = await test.call("inner/inner", { path });
    assert.match(refused.text, /ECONNRESET/);
    const ref = { tenant: "inner", functionName: "inner" };
    const log = async () => {
      const placed = await readLogs(test.connection, ref, { invocationId: refused.id, limit: 100 });
      return placed.map(({ entry }) => ("text" in entry ? entry.text : "")).join("\n");
    };
    await eventually(async () => (await log()).includes("private_address"));
    const [, command = ""] = /grants it with: sandpiper egress private inner (\S+)$/m.exec(await log()) ?? [];
    assert.equal(command, "echo.example.com=127.0.0.1");
    await grant("inner", "other.example.com=127.0.0.1");
    assert.match((await test.call("inner/inner", { path })).text, /ECONNRESET/);
    await grant("inner", command);
    await eventually(async () => (await test.call("inner/inner", { path })).text === "hello");
  });
});

describe("the relay's death", () => {
  it("is nothing that a function is blamed for, and passes", async () => {
    const path = `/throw/echo.example.com/${echo}`;
    const before = sockets.size;
    const calling = test.call("client", { path });
    await eventually(() => sockets.size === before + 1);
    process.kill(test.worker.relayPid ?? assert.fail("there is no relay"), "SIGKILL");
    const answered = await calling;
    assert.deepEqual([answered.outcome, answered.error?.code], ["platform_error", "EGRESS_LOST"]);
    await said("client", answered.id, /relay ended and is started anew; the function is not to blame/);
    assert.equal((await test.call("client", { path: `/talk/echo.example.com/${echo}` })).text, "hello");
    const figures = await test.worker.metrics.registry.metrics();
    assert.match(figures, /^sandpiper_egress_relay_failures_total [1-9]/m);
  });
});

describe("figures", () => {
  it("count connections and bytes by tenant and host, and refused ones without their names", async () => {
    const all = await test.worker.metrics.registry.metrics();
    const text = all
      .split("\n")
      .filter((line) => line.startsWith("sandpiper_egress"))
      .join("\n");
    assert.match(
      text,
      /sandpiper_egress_connections_total\{tenant="main",host="echo\.example\.com",verdict="ok"\} [1-9]/,
    );
    assert.match(
      text,
      /sandpiper_egress_bytes_total\{tenant="main",host="echo\.example\.com",direction="down"\} [1-9]/,
    );
    assert.match(
      text,
      /sandpiper_egress_connections_total\{tenant="main",host="refused",verdict="undeclared_name"\} [1-9]/,
    );
    assert.ok(!text.includes("other.example.com"));
  });
});
