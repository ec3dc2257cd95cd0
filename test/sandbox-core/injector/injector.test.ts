/** Requests of sandboxes that something is injected into, to real servers of TLS on loopback. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { chmodSync, mkdtempSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { createServer as createHttp2Server } from "node:http2";
import { createServer, type Server } from "node:https";
import type { Socket } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import type { EgressInjection, EgressPolicy } from "../../../sandbox-core/contract/egress.ts";
import { EgressRelay } from "../../../sandbox-core/launcher/egress-relay.ts";
import type { ZygoteLauncher } from "../../../sandbox-core/launcher/launcher.ts";
import { EgressClient, injectorPid, policyOf } from "../../helpers/egress.ts";
import { eventually } from "../../helpers/eventually.ts";
import { openTestLauncher } from "../../helpers/sandbox-client.ts";
import { tempDir } from "../../helpers/temp-dir.ts";
import { TestAuthority } from "../../helpers/tls-authority.ts";

const SECRET = "Bearer sk_live_the_value_that_nobody_sees";
/** Addresses of loopback that no other test has, as servers are on port 443. */
const addressOf = (last: number) => `127.${128 + ((process.pid >> 8) & 127)}.${process.pid & 255}.${last}`;
const HOSTS = ["api", "plain", "expired", "stranger", "h2only", "raw"] as const;
type Host = (typeof HOSTS)[number];
const nameOf = (host: Host) => `${host}.example.com`;

/** A request as a server saw it. */
interface Seen {
  method: string | undefined;
  url: string | undefined;
  rawHeaders: string[];
  bytes: number;
}

const authority = new TestAuthority();
const seen: Seen[] = [];
const closings: (() => unknown)[] = [];
/** Connections of the host `api`. */
const connections = new Set<TLSSocket>();
/** The last request over each connection. */
const asked = new Map<Socket, string | undefined>();
/** The answer of the host `raw` to whatever comes. */
let rawAnswer = "";
let launcher: ZygoteLauncher;
let relay: EgressRelay;
let files: { hostsFile: string; caFile: string };

before(async () => {
  const directory = mkdtempSync(join(tempDir(), "hosts-"));
  chmodSync(join(directory, ".."), 0o755);
  chmodSync(directory, 0o755);
  const [hosts, ca] = [join(directory, "hosts"), join(directory, "ca.pem")];
  writeFileSync(hosts, HOSTS.map((host, index) => `${addressOf(index + 1)} ${nameOf(host)}\n`).join(""));
  writeFileSync(ca, authority.certificate);
  launcher = await openTestLauncher();
  files = { hostsFile: hosts, caFile: ca };
  relay = new EgressRelay(files);
  const stranger = new TestAuthority();
  const api = createServer(authority.certify(nameOf("api")), serve);
  api.on("secureConnection", (socket) => {
    connections.add(socket);
    socket.on("error", () => {}).on("close", () => connections.delete(socket));
  });
  await listen("api", api);
  await listen("plain", createServer(authority.certify(nameOf("plain")), serve));
  await listen("expired", createServer(authority.certify(nameOf("expired"), { isOver: true }), serve));
  await listen("stranger", createServer(stranger.certify(nameOf("stranger")), serve));
  await listen("h2only", createHttp2Only());
  await listen(
    "raw",
    createTlsServer(authority.certify(nameOf("raw")), (socket) => {
      socket.on("error", () => {}).once("data", () => socket.end(rawAnswer));
    }),
  );
});
after(async () => {
  await Promise.all([launcher.close(), relay.close()]);
  for (const close of closings) close();
});

function createHttp2Only() {
  const server = createTlsServer({ ...authority.certify(nameOf("h2only")), ALPNProtocols: ["h2"] }, (socket) => {
    socket.on("error", () => {});
  });
  return server.on("tlsClientError", () => {});
}

async function listen(
  host: Host,
  server: Server | ReturnType<typeof createHttp2Server> | ReturnType<typeof createTlsServer>,
) {
  server.listen(443, addressOf(HOSTS.indexOf(host) + 1));
  await once(server, "listening");
  closings.push(() => {
    server.close();
    if ("closeAllConnections" in server) server.closeAllConnections();
  });
}

function serve(request: IncomingMessage, response: ServerResponse): void {
  const { method, url, rawHeaders } = request;
  const one: Seen = { method, url, rawHeaders, bytes: 0 };
  asked.set(request.socket, url);
  seen.push(one);
  request.on("data", (chunk: Buffer) => {
    one.bytes += chunk.length;
  });
  request
    .on("error", () => {})
    .on("end", () => {
      if (url?.startsWith("/v1/big")) return void response.end(Buffer.alloc(Number(url.split("=")[1])));
      if (url?.startsWith("/v1/never")) return;
      response.setHeader("x-api", "yes");
      response.end(`${method} ${url} ${one.bytes}`);
    });
}

const injectionOf = (host: Host, more: Partial<EgressInjection> = {}): EgressInjection => ({
  name: nameOf(host),
  headers: [["authorization", SECRET]],
  methods: null,
  paths: null,
  ...more,
});

const RULES = HOSTS.map((host) => `${nameOf(host)}:443`).join(",");
const MORE = {
  privateRanges: ["127.0.0.0/8"],
  injections: HOSTS.filter((host) => host !== "plain").map((host) => injectionOf(host)),
};

const open = (expression: string, more: Partial<EgressPolicy> = {}, using = relay) =>
  EgressClient.open(launcher, using, policyOf(RULES, { ...MORE, ...more }), expression);

const fieldsOf = ({ rawHeaders }: Seen, name: string) =>
  rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name);

const last = () => seen.at(-1) ?? assert.fail("nothing came");

/** Whether something holds the secret, in whatever form a function could see it. */
const tellsSecret = (value: unknown) => JSON.stringify(value).includes("sk_live");

/** Sends bytes over TLS, and gives all that comes back. */
const OVER_TLS = `const overTls = (host, text, options = {}) => new Promise((resolve, reject) => {
  const socket = tls.connect({ host, port: 443, servername: host, ...options });
  let answer = "";
  socket.on("data", (chunk) => { answer += chunk; }).on("error", reject).on("close", () => resolve(answer));
  socket.on("secureConnect", () => socket.write(text));
});`;
const raw = (text: string, host: Host = "api") =>
  `(async () => { ${OVER_TLS} return overTls("${nameOf(host)}", ${JSON.stringify(text)}); })()`;

describe("what is injected", () => {
  it("is in requests of fetch, and the function sees nothing of it", async () => {
    await using client = await open(`(async () => {
      const answer = await fetch("https://api.example.com/v1/charges?a=b", {
        method: "POST", body: "amount=1", headers: { Authorization: "mine", "x-own": "kept" },
      });
      return { text: await answer.text(), status: answer.status, headers: [...answer.headers], env: process.env };
    })()`);
    const value = (await client.value()) as { text: string; status: number };
    assert.deepEqual([value.status, value.text], [200, "POST /v1/charges?a=b 8"]);
    assert.equal(tellsSecret(value), false);
    assert.deepEqual(fieldsOf(last(), "authorization"), [SECRET]);
    assert.deepEqual(fieldsOf(last(), "x-own"), ["kept"]);
    assert.deepEqual(fieldsOf(last(), "host"), ["api.example.com"]);
    assert.equal((await client.told("opened")).name, "api.example.com");
    assert.equal(tellsSecret(client.events), false);
  });

  it("is not in requests to another declared host, whose certificate the function sees itself", async () => {
    await using client = await open(`new Promise((resolve, reject) => {
      const socket = tls.connect({ host: "plain.example.com", port: 443, servername: "plain.example.com", ca: ${JSON.stringify(authority.certificate)} });
      socket.on("error", reject).on("secureConnect", () => { resolve(socket.getPeerCertificate().issuer.CN); socket.destroy(); });
    })`);
    assert.equal(await client.value(), "a test's authority");
  });

  it("stands in the place of what the function sends, however that is written", async () => {
    const fields = ["AUTHORIZATION: a", "authorization: b", "connection: authorization", "x_key: c", "X-Key: d"];
    const text = `GET /v1/ HTTP/1.1\r\nhost: API.example.com:443\r\n${fields.join("\r\n")}\r\n\r\n`;
    const headers = [
      ["authorization", SECRET],
      ["x-key", "ours"],
    ] as const;
    await using client = await open(raw(`${text}`.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n")), {
      injections: [injectionOf("api", { headers })],
    });
    assert.match(String(await client.value()), /^HTTP\/1\.1 200 /);
    assert.deepEqual([fieldsOf(last(), "authorization"), fieldsOf(last(), "x-key")], [[SECRET], ["ours"]]);
    assert.deepEqual(fieldsOf(last(), "x_key"), []);
  });

  it("goes over one connection for requests that keep it, with large bodies both ways", async () => {
    await using client = await open(`(async () => {
      const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
      const ask = (path, body) => new Promise((resolve, reject) => {
        const request = https.request({ host: "api.example.com", path, agent, method: body ? "PUT" : "GET" }, (answer) => {
          let bytes = 0;
          answer.on("data", (chunk) => { bytes += chunk.length; }).on("end", () => resolve(bytes)).on("error", reject);
        });
        request.on("error", reject).end(body);
      });
      return [await ask("/v1/up", Buffer.alloc(3_000_000)), await ask("/v1/big=5000000"), await ask("/v1/end")];
    })()`);
    assert.deepEqual(await client.value(), ["PUT /v1/up 3000000".length, 5_000_000, "GET /v1/end 0".length]);
    assert.equal(client.events.filter(({ kind }) => kind === "opened").length, 1);
    client.client.sandbox.kill("to have its connection end");
    const { bytesUp, bytesDown } = await client.told("closed");
    assert.ok(bytesUp > 3_000_000 && bytesDown > 5_000_000, `${bytesUp} up, ${bytesDown} down`);
  });

  it("is in requests whose bodies come in chunks, with every method", async () => {
    await using client = await open(`(async () => {
      const answers = [];
      for (const method of ["GET", "DELETE", "POST"]) {
        answers.push(await new Promise((resolve, reject) => {
          const request = https.request({ host: "api.example.com", path: "/v1/c", method, headers: { "transfer-encoding": "chunked" } }, async (answer) => {
            resolve(String(Buffer.concat(await answer.toArray())));
          });
          request.on("error", reject);
          request.write("one"); request.end("two");
        }));
      }
      return answers;
    })()`);
    assert.deepEqual(await client.value(), ["GET /v1/c 6", "DELETE /v1/c 6", "POST /v1/c 6"]);
  });

  it("ends at the host when the client leaves", async () => {
    await using client = await open(`(async () => {
      if (kept.length === 0) {
        const aborting = new AbortController();
        const asked = fetch("https://api.example.com/v1/never?leaves", { signal: aborting.signal });
        kept.push(aborting, asked.catch((error) => error.name));
        return "asks";
      }
      kept[0].abort();
      return kept[1];
    })()`);
    assert.equal(await client.value(), "asks");
    const hanging = () => [...asked].filter(([, url]) => url === "/v1/never?leaves").map(([socket]) => socket);
    await eventually(() => hanging().length > 0);
    const [socket] = hanging();
    assert.equal(await client.value(), "AbortError");
    await eventually(() => socket?.destroyed === true);
  });
});

describe("a request", () => {
  const RULE = { methods: ["POST", "GET"], paths: ["/v1/"] };
  const injections = [injectionOf("api", RULE)];

  /** Has each text refused with its verdict, by an answer or by the end of the connection. */
  async function refused(texts: [text: string, verdict: string][]): Promise<void> {
    for (const [text, verdict] of texts) {
      const before = seen.length;
      await using client = await open(raw(text), { injections });
      const answer = String(await client.value());
      assert.match(answer, /^HTTP\/1\.1 40[03] /, text);
      assert.match(answer, new RegExp(`"code":"${verdict}","message":"Refused by Sandpiper: `), text);
      const event = await client.told("refused", verdict);
      assert.ok(event.remedy, text);
      assert.equal(seen.length, before, text);
    }
  }
  const asking = (line: string, ...fields: string[]) =>
    [line, "host: api.example.com", "connection: close", ...fields, "", ""].join("\r\n");

  it("of another method or path is refused, with what to add", async () => {
    await refused([
      [asking("DELETE /v1/a HTTP/1.1"), "method_refused"],
      [asking("GET /v2/a HTTP/1.1"), "path_refused"],
      [asking("GET /v1 HTTP/1.1"), "path_refused"],
    ]);
    await using client = await open(raw(asking("DELETE /v1/a HTTP/1.1")), { injections });
    await client.value();
    assert.match(
      (await client.told("refused")).remedy ?? "",
      /DELETE is none of the methods .*POST, GET.*add it to "methods"/,
    );
  });

  it("that two could read in two ways is refused", async () => {
    await refused([
      [asking("GET /v1/../v2 HTTP/1.1"), "path_refused"],
      [asking("GET /v1/%252e%252e/v2 HTTP/1.1"), "path_refused"],
      [asking("GET https://api.example.com/v1/ HTTP/1.1"), "malformed_request"],
      ["GET /v1/ HTTP/1.1\r\nhost: other.example.com\r\nconnection: close\r\n\r\n", "wrong_host"],
      [asking("GET /v1/ HTTP/1.1", "host: api.example.com"), "malformed_request"],
      ["GET /v1/ HTTP/1.1\r\nconnection: close\r\n\r\n", "malformed_request"],
      [asking("POST /v1/ HTTP/1.1", "transfer-encoding: gzip, chunked"), "malformed_request"],
      [asking("POST /v1/ HTTP/1.1", "content-length: 1", "transfer-encoding: chunked"), "malformed_request"],
      [asking("POST /v1/ HTTP/1.1", "content-length: 1", "content-length: 2"), "malformed_request"],
      [asking("GET /v1/ HTTP/1.1", "a b: c"), "malformed_request"],
      ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "malformed_request"],
      ["no HTTP at all\r\n\r\n", "malformed_request"],
    ]);
  });

  it("for another protocol is refused", async () => {
    await refused([
      ["CONNECT api.example.com:443 HTTP/1.1\r\nhost: api.example.com\r\n\r\n", "upgrade_refused"],
      [
        "GET /v1/ HTTP/1.1\r\nhost: api.example.com\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
        "upgrade_refused",
      ],
    ]);
  });

  it("before the answer to the one before ends the connection", async () => {
    const one = "GET /v1/never HTTP/1.1\r\nhost: api.example.com\r\n\r\n";
    await using client = await open(raw(one.repeat(50)), { injections });
    assert.deepEqual(await client.value(), "");
    await eventually(() => connections.size === 0);
  });
});

describe("a host", () => {
  it("that is not who it should be gets nothing", async () => {
    for (const host of ["expired", "stranger"] as const) {
      await using client = await open(`fetch("https://${nameOf(host)}/")`);
      const before = seen.length;
      assert.deepEqual(await client.value(), { error: "ECONNRESET" });
      assert.match((await client.told("refused", "invalid_certificate")).remedy ?? "", /valid certificate/);
      assert.equal(seen.length, before);
    }
  });

  it("that speaks HTTP/2 alone is not reached, and neither is one by a client of that kind", async () => {
    await using client = await open(`fetch("https://h2only.example.com/")`);
    assert.deepEqual(await client.value(), { error: "ECONNRESET" });
    await client.told("refused", "host_tls_failed");
    await using other = await open(`new Promise((resolve, reject) => {
      http2.connect("https://api.example.com").on("error", reject).on("connect", () => resolve("connected"));
    })`);
    assert.match(JSON.stringify(await other.value()), /ERR_SSL|ECONNRESET|ERR_HTTP2/);
    await other.told("refused", "client_tls_failed");
  });

  it("whose answer is no HTTP has the connection end", async () => {
    rawAnswer = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab";
    await using client = await open(`fetch("https://raw.example.com/")`);
    assert.match(JSON.stringify(await client.value()), /UND_ERR_SOCKET|ECONNRESET/);
  });
});

describe("the injector", () => {
  it("that hangs is ended, and sandboxes that come later have another one", async () => {
    const asking = `(async () => (await fetch("https://api.example.com/v1/")).status)()`;
    await using client = await open(asking);
    assert.equal(await client.value(), 200);
    process.kill(injectorPid(), "SIGSTOP");
    await client.egress.injector?.gone;
    await using next = await open(asking);
    assert.equal(await next.value(), 200);
    assert.notEqual(next.egress.injector?.caCertificate, client.egress.injector?.caCertificate);
  });
});

describe("handshakes", () => {
  it("of one tenant are bounded, and another's are not", async (t) => {
    // One, and no other one for as long as this test may last.
    const slow = new EgressRelay({ ...files, handshakesPerSecond: 1e-6 });
    t.after(() => slow.close());
    const attempts = `(async () => {
      const attempt = () => new Promise((resolve) => {
        const socket = tls.connect({ host: "api.example.com", port: 443, servername: "api.example.com" });
        socket.on("error", () => resolve("refused")).on("secureConnect", () => { socket.destroy(); resolve("served"); });
      });
      return [await attempt(), await attempt()];
    })()`;
    await using client = await open(attempts, { tenant: "greedy" }, slow);
    assert.deepEqual(await client.value(), ["served", "refused"]);
    await client.told("refused", "connection_rate");
    const asking = `(async () => (await fetch("https://api.example.com/v1/")).status)()`;
    await using other = await open(asking, { tenant: "modest" }, slow);
    assert.equal(await other.value(), 200);
  });
});
