/** What a hole in the injector would be worth, and whom its secrets and its authority reach. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:https";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import type { SyscallName } from "../../../sandbox-core/abi/arch.ts";
import { EgressRelay } from "../../../sandbox-core/launcher/egress-relay.ts";
import type { ZygoteLauncher } from "../../../sandbox-core/launcher/launcher.ts";
import { EgressClient, injectorPid, policyOf, talking } from "../../helpers/egress.ts";
import { openTestLauncher, SandboxClient } from "../../helpers/sandbox-client.ts";
import { tempDir } from "../../helpers/temp-dir.ts";
import { TestAuthority } from "../../helpers/tls-authority.ts";

const SECRET = "Bearer sk_live_that_is_in_one_process";
const HOST = "api.example.com";
const INJECTOR_UID = 1_099_999_997;
const CHUNK_BYTES = 1 << 20;
/** An address of loopback that no other test has, as the server is on port 443. */
const ADDRESS = `127.${192 + ((process.pid >> 8) & 31)}.${process.pid & 255}.3`;

/** Calls by which a process makes, opens or ends something. */
const NEVER: readonly SyscallName[] = [
  ...(["socket", "socketpair", "connect", "bind", "listen", "accept", "accept4", "sendto"] as const),
  ...(["open", "openat", "openat2", "creat", "unlink", "unlinkat", "rename", "mkdir", "memfd_create"] as const),
  ...(["execve", "execveat", "fork", "vfork", "clone", "clone3", "kill", "ptrace", "process_vm_readv"] as const),
  ...(["setuid", "setns", "unshare", "mount", "prctl", "seccomp", "bpf", "io_uring_setup", "pidfd_getfd"] as const),
];

const authority = new TestAuthority();
const seen: (string | undefined)[] = [];
const asked: string[] = [];
const server = createServer(authority.certify(HOST), (request, response) => {
  seen.push(request.headers.authorization);
  asked.push(`${request.method} ${request.url}`);
  response.end("served");
});
let launcher: ZygoteLauncher;
let relay: EgressRelay;
let settings: { hostsFile: string; caFile: string };

before(async () => {
  const base = tempDir();
  const directory = mkdtempSync(join(base, "hosts-"));
  for (const path of [base, directory]) chmodSync(path, 0o755);
  settings = { hostsFile: join(directory, "hosts"), caFile: join(directory, "ca.pem") };
  writeFileSync(settings.hostsFile, `${ADDRESS} ${HOST}\n`);
  writeFileSync(settings.caFile, authority.certificate);
  server.listen(443, ADDRESS);
  await once(server, "listening");
  launcher = await openTestLauncher();
  relay = new EgressRelay({ ...settings, injectorUid: INJECTOR_UID });
});
after(async () => {
  await Promise.all([launcher.close(), relay.close()]);
  server.closeAllConnections();
  server.close();
});

const POLICY = policyOf(`${HOST}:443`, {
  privateRanges: ["127.0.0.0/8"],
  injections: [{ name: HOST, headers: [["authorization", SECRET]], methods: null, paths: null }],
});
const ASKING = `(async () => (await fetch("https://${HOST}/")).text())()`;

/** Whether the memory that a process may write has the text, as V8 and Buffers hold it. */
function remembers(pid: number, text: string): boolean {
  const needles = [Buffer.from(text, "latin1"), Buffer.from(text, "utf16le")];
  const mem = openSync(`/proc/${pid}/mem`, "r");
  const chunk = Buffer.alloc(CHUNK_BYTES + text.length * 2);
  try {
    for (const [, from = "", to = ""] of readFileSync(`/proc/${pid}/maps`, "latin1").matchAll(/^(\S+)-(\S+) rw/gm)) {
      const end = Number.parseInt(to, 16);
      for (let at = Number.parseInt(from, 16); at < end; at += CHUNK_BYTES) {
        const bytes = chunk.subarray(0, readSync(mem, chunk, 0, Math.min(chunk.length, end - at), at));
        if (needles.some((needle) => bytes.includes(needle))) return true;
      }
    }
    return false;
  } finally {
    closeSync(mem);
  }
}

describe("the injector's process", () => {
  it("is nobody, on every thread, and nobody's to look into", async () => {
    await using client = await EgressClient.open(launcher, relay, POLICY, ASKING);
    assert.equal(await client.value(), "served");
    const pid = injectorPid();
    const threads = readdirSync(`/proc/${pid}/task`);
    assert.ok(threads.length > 1);
    for (const thread of threads) {
      const status = readFileSync(`/proc/${pid}/task/${thread}/status`, "utf8");
      const own = Array(4).fill(INJECTOR_UID).join("\t");
      for (const line of [
        `Uid:\t${own}\n`,
        `Gid:\t${own}\n`,
        ...["CapInh", "CapPrm", "CapEff", "CapAmb"].map((set) => `${set}:\t${"0".repeat(16)}\n`),
        "NoNewPrivs:\t1\n",
        "Seccomp:\t2\n",
      ])
        assert.ok(status.includes(line), `${line} in ${status}`);
      assert.match(status, /^Groups:\t *$/m);
    }
    // The kernel gives root the files of a process that is not dumpable (proc(5)).
    assert.equal(statSync(`/proc/${pid}/environ`).uid, 0);
    assert.equal(readFileSync(`/proc/${pid}/environ`, "utf8"), "");
  });

  it("makes no socket, opens no file, and starts and looks into no process", () => {
    const main = fileURLToPath(import.meta.resolve("../../helpers/lock-in-main.ts"));
    const start = fileURLToPath(import.meta.resolve("../../../sandbox-core/egress/start.ts"));
    const { stderr } = spawnSync(process.execPath, ["--no-warnings", start, main, String(INJECTOR_UID), ...NEVER], {
      encoding: "utf8",
      stdio: ["ignore", "ignore", "pipe", "ignore", "ignore"],
    });
    assert.deepEqual(JSON.parse(stderr), Object.fromEntries(NEVER.map((call) => [call, "EPERM"])));
  });
});

describe("what is injected", () => {
  it("is in the injector's memory, and in none of the sandbox's or the relay's", async () => {
    await using client = await EgressClient.open(launcher, relay, POLICY, ASKING);
    assert.equal(await client.value(), "served");
    assert.equal(seen.at(-1), SECRET);
    assert.equal(remembers(injectorPid(), SECRET), true);
    assert.equal(remembers(client.client.sandbox.pid, SECRET), false);
    assert.equal(remembers(relay.pid as number, SECRET), false);
  });
});

describe("hostile requests", () => {
  /** Beginnings of requests, with what two parsers could take for two requests, or never end. */
  const head = (...fields: string[]) => `POST / HTTP/1.1\r\nhost: ${HOST}\r\n${fields.join("\r\n")}\r\n\r\n`;
  const smuggled = `GET /smuggled HTTP/1.1\r\nhost: ${HOST}\r\n\r\n`;
  const CASES = [
    `${head("content-length: 4", "transfer-encoding: chunked")}0\r\n\r\n${smuggled}`,
    `${head("transfer-encoding: chunked", "transfer-encoding: identity")}0\r\n\r\n${smuggled}`,
    `${head("transfer-encoding : chunked")}0\r\n\r\n${smuggled}`,
    `${head("transfer-encoding: xchunked")}0\r\n\r\n${smuggled}`,
    `${head("content-length: 0", `content-length: ${smuggled.length}`)}${smuggled}`,
    `${head("content-length: +1")}${smuggled}`,
    head("x: a\r\n folded: b", "content-length: 0"),
    head("x: a\nbare: b", "content-length: 0"),
    head("x: a\rbare: b", "content-length: 0"),
    head("x: a\0b", "content-length: 0"),
    head(`x: ${"a".repeat(70_000)}`, "content-length: 0"),
    head(...Array.from({ length: 10_000 }, (_, index) => `x${index}: ${"a".repeat(8)}`), "content-length: 0"),
    `${head("transfer-encoding: chunked")}1;${"e".repeat(200_000)}\r\na\r\n0\r\n\r\n${smuggled}`,
    `${head("transfer-encoding: chunked")}fffffffffffffffff\r\n${smuggled}`,
    `${head("transfer-encoding: chunked")}0\n\n${smuggled}`,
    `GET /smuggled HTTP/1.1\nhost: ${HOST}\n\n`,
    `GET  /smuggled  HTTP/1.1\r\nhost: ${HOST}\r\n\r\n`,
    `GET /smuggled HTTP/0.9\r\nhost: ${HOST}\r\n\r\n`,
  ];

  it("smuggle nothing, and the injector serves on", async () => {
    const sending = `(async () => {
      const send = (text) => new Promise((resolve) => {
        const socket = tls.connect({ host: "${HOST}", port: 443, servername: "${HOST}" });
        socket.on("secureConnect", () => socket.write(text)).on("error", resolve).on("close", resolve).on("data", () => socket.destroy());
      });
      const { randomBytes } = await import("node:crypto");
      for (const text of ${JSON.stringify(CASES)}) await send(text);
      for (let round = 0; round < 40; round++) await send(Buffer.concat([Buffer.from(round % 2 ? "POST / HTTP/1.1\\r\\n" : ""), randomBytes(1 + round * 97), Buffer.from("\\r\\n\\r\\n")]));
      return "sent";
    })()`;
    // Whatever is not judged by itself would come to the host: a GET may not.
    const injections = (POLICY.injections ?? []).map((rule) => ({ ...rule, methods: ["POST"] }));
    const posting = { ...POLICY, injections };
    const before = asked.length;
    await using client = await EgressClient.open(launcher, relay, posting, sending);
    const pid = injectorPid();
    assert.equal(await client.value(), "sent");
    assert.deepEqual(
      asked.slice(before).filter((url) => url !== "POST /"),
      [],
    );
    await using other = await EgressClient.open(launcher, relay, POLICY, ASKING);
    assert.equal(await other.value(), "served");
    assert.equal(injectorPid(), pid);
  });
});

describe("the authority", () => {
  const TRUSTS = `(async () => {
    const { X509Certificate } = await import("node:crypto");
    return tls.getCACertificates("default").filter((one) => new X509Certificate(one).subject.includes("Sandpiper")).length;
  })()`;

  it("is trusted where something is injected, and in no other sandbox of the zygote", async () => {
    await using injected = await EgressClient.open(launcher, relay, POLICY, TRUSTS);
    assert.equal(await injected.value(), 1);
    const { injections: _, ...plain } = POLICY;
    await using other = await EgressClient.open(launcher, relay, plain, TRUSTS);
    assert.equal(await other.value(), 0);
    assert.equal(
      await SandboxClient.evaluate(launcher, `(await import("node:tls")).getCACertificates("default").length > 0`),
      true,
    );
  });

  it("of one injector vouches for nothing to a sandbox of another one", async (t) => {
    await using here = await EgressClient.open(launcher, relay, POLICY, ASKING);
    const elsewhere = new EgressRelay({ ...settings, injectorUid: INJECTOR_UID });
    t.after(() => elsewhere.close());
    await using client = await SandboxClient.blank(launcher);
    const verdicts: string[] = [];
    const refused = Promise.withResolvers<void>();
    await elsewhere.open(client.sandbox, POLICY, ({ verdict }) => {
      verdicts.push(verdict);
      if (verdict === "client_tls_failed") refused.resolve();
    });
    await client.load(talking(ASKING), { caCertificate: here.egress.injector?.caCertificate });
    const before = seen.length;
    assert.match(await client.text(), /SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER/);
    await refused.promise;
    assert.equal(seen.length, before);
  });
});
