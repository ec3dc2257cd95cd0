/** Restores that are refused, broken off, forged, or done while something else is. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { FileArtifactStore } from "../../../functions/store/artifacts.ts";
import { restoreBackup } from "../../../functions/store/backup/restore.ts";
import { DataKeys } from "../../../functions/store/data-keys.ts";
import { DATA_FORM } from "../../../functions/store/form/form-steps.ts";
import { CollectionLock } from "../../../functions/store/gc-lock.ts";
import {
  backupOf,
  contentsOf,
  forged,
  type OpenFrame,
  opened,
  restoreInto,
  startOperated,
} from "../../helpers/backups.ts";
import type { TestGateway } from "../../helpers/gateway.ts";
import { masterKeysOf } from "../../helpers/master-keys.ts";

const masterKeys = masterKeysOf();
let source: TestGateway;
let target: TestGateway;
let file: Buffer;
let frames: OpenFrame[];

before(async () => {
  source = await startOperated(masterKeys);
  target = await startOperated(masterKeys, { empty: true });
  await source.deploy("hello", { env: { PLAIN: "plain" } });
  const routes = { body: JSON.stringify({ value: "shared" }), headers: { "content-type": "application/json" } };
  await source.api("/v1/secrets/SHARED", { method: "PUT", ...routes });
  file = await backupOf(source);
  frames = await opened(file);
});
after(() => Promise.all([source.stop(), target.stop()]));

const KEPT = ["sp:function", "sp:versions", "sp:secret", "sp:datakeys", "sp:masterkeys", "sp:tenants", "sp:apikey"];
const everything = (test: TestGateway) => contentsOf(test, [...KEPT, "sp:operatorkeys", "sp:form", "sp:restoring"]);
const filesOf = async ({ artifactsDir }: TestGateway) =>
  (await readdir(artifactsDir, { recursive: true })).filter((name) => name !== "restores").sort();
const codeOf = async (response: Response) => ((await response.json()) as { error?: { code: string } }).error?.code;

/** The file with the first record of a part changed. */
function changed(part: string, change: (value: OpenFrame["value"]) => void): Buffer {
  const copy = frames.map(({ kind, value }) => ({ kind, value: kind === "bytes" ? value : structuredClone(value) }));
  const found = copy.find(({ kind, value }) => kind === part || (kind === "record" && value.part === part));
  assert.ok(found, part);
  change(found.value);
  return forged(copy);
}

/** The file with one more record behind that of the tenant. */
function with_(value: object): Buffer {
  const at = frames.findIndex(({ value: { part } }) => part === "tenant") + 1;
  return forged(frames.toSpliced(at, 0, { kind: "record", value }));
}

/** The fields of a record's entries, changed. */
const setField = (name: RegExp, text: (before: string) => string) => (value: OpenFrame["value"]) => {
  for (const entry of value.entries) if (name.test(entry[0])) entry[1] = text(entry[1]);
};
const version = (change: (version: OpenFrame["value"]) => void) =>
  setField(/^[0-9a-f]{64}$/, (text) => {
    const value = JSON.parse(text);
    change(value);
    return JSON.stringify(value);
  });

const FORGED: Readonly<Record<string, () => Buffer>> = {
  "a job of the queue": () => with_({ part: "queue:calls", tenant: null, name: null, entries: [["{}"]] }),
  "a canary of a master key": () => with_({ part: "masterkeys", tenant: null, name: null, entries: [["a", "b"]] }),
  "an operator's key": () => with_({ part: "operatorkeys", tenant: null, name: null, entries: [["0".repeat(12)]] }),
  "a function with a colon": () => with_({ part: "history", tenant: "main", name: "a:b", entries: [["{}"]] }),
  "a key that is no id": () => with_({ part: "key", tenant: "main", name: "../../x", entries: [["{}"]] }),
  "something of a tenant that it lacks": () =>
    with_({ part: "quotas", tenant: "none", name: null, entries: [["none a", "1"]] }),
  "another tenant's quota": () => with_({ part: "quotas", tenant: "main", name: null, entries: [["other a", "1"]] }),
  "another tenant's key": () =>
    changed("key", (value) => value.entries[0].splice(0, 1, value.entries[0][0].replace("main", "other"))),
  "a tenant that is being deleted": () =>
    with_({ part: "stop", tenant: "main", name: null, entries: [['{"state":"deleting","sinceMs":1}']] }),
  "a function that somebody holds": () => changed("function", ({ entries }) => entries.push(["holder", "x"])),
  "a watch with counts": () => changed("function", ({ entries }) => entries.push(["watch:live", "{}"])),
  "an alias of a version that it lacks": () =>
    changed(
      "function",
      setField(/^alias:/, (text) => text.replace(/[0-9a-f]{64}/, "f".repeat(64))),
    ),
  "a version of another function": () =>
    changed(
      "versions",
      version((one) => (one.functionName = "other")),
    ),
  "a version with more memory than there is": () =>
    changed(
      "versions",
      version((one) => (one.config.memoryMiB = 1_000_000)),
    ),
  "a version with an artefact that it lacks": () =>
    changed(
      "versions",
      version((one) => (one.bundle = "e".repeat(64))),
    ),
  "a version with a path for an artefact": () =>
    changed(
      "versions",
      version((one) => (one.sourceMap = "../../etc/passwd")),
    ),
  "a data key that was changed": () =>
    changed(
      "data-keys",
      setField(/^[0-9a-f]{12}$/, (text) => `${text.slice(0, -4)}AAAA`),
    ),
  "a data key of another tenant": () => {
    const keys = frames.find(({ value }) => value.part === "data-keys")?.value;
    return forged(
      frames.toSpliced(
        -1,
        0,
        { kind: "record", value: { part: "tenant", tenant: "other", name: null, entries: [["{}"]] } },
        {
          kind: "record",
          value: { ...keys, tenant: "other" },
        },
      ),
    );
  },
  "a secret in clear": () =>
    changed("secrets", ({ entries }) => (entries[0][1] = '{"version":1,"updatedAtMs":1,"sealed":"x"}')),
  "routes that are none": () =>
    changed("versions", ({ entries }) => entries.push([`${entries[0][0].slice(0, 64)}:routes`, '["../x"]'])),
  "a claim with a token that anybody guesses": () =>
    with_({
      part: "domain-claims",
      tenant: "main",
      name: null,
      entries: [["a.example.com", '{"functionName":"hello","token":"1","createdAtMs":1}']],
    }),
  "a claim of an address": () =>
    with_({
      ...{ part: "domain-claims", tenant: "main", name: null },
      entries: [["127.0.0.1", JSON.stringify({ functionName: "hello", token: "a".repeat(40), createdAtMs: 1 })]],
    }),
  "the same part twice": () =>
    forged(frames.toSpliced(-1, 0, frames.find(({ value }) => value.part === "function") as OpenFrame)),
};

const inClear = version((one) => {
  one.config.env = { PLAIN: "clear" };
  delete one.env;
});

describe("a file that somebody forged", () => {
  for (const [what, forge] of Object.entries(FORGED)) {
    it(`is refused with ${what}, and nothing is written`, async () => {
      const before = await everything(target);
      const files = await filesOf(target);
      const { status, code } = await restoreInto(target, forge());
      assert.deepEqual([status, code], [400, "BACKUP_INVALID"]);
      assert.deepEqual(await everything(target), before);
      assert.deepEqual(await filesOf(target), files);
    });
  }

  it("is refused when it is of a newer Sandpiper, or was cut", async () => {
    const newer = changed("header", (value) => (value.form = DATA_FORM + 1));
    const answers = await restoreInto(target, newer);
    assert.deepEqual([answers.status, answers.code], [503, "DATA_TOO_NEW"]);
    assert.equal((await restoreInto(target, file.subarray(0, -1))).code, "BACKUP_INVALID");
    assert.equal((await restoreInto(target, Buffer.from("hello"))).code, "BACKUP_INVALID");
  });

  it("makes no key an operator's, and takes no operator's key away", async () => {
    const id = target.key.split("_")[1] ?? "";
    const text = JSON.stringify({ tenant: "main", sha256: createHash("sha256").update("known").digest("hex") });
    const planted = with_({ part: "key", tenant: "main", name: id, entries: [[text]] });
    assert.equal((await restoreInto(target, planted)).status, 200);
    assert.equal((await target.api("/v1/whoami")).status, 200);
    const forgedKey = { authorization: `Bearer sp_${id}_${"known".padEnd(43, "x")}` };
    assert.equal((await target.api("/v1/whoami", { headers: forgedKey })).status, 401);
    const sources = await target.api("/v1/whoami", { headers: { authorization: `Bearer ${source.key}` } });
    assert.equal(((await sources.json()) as { operator: boolean }).operator, false);
  });
});

describe("an upload", () => {
  it("goes on where it ended, and nowhere else", async () => {
    const id = crypto.randomUUID();
    const send = (at: number | string, body = "part", name: string = id) =>
      target.api(`/v1/restores/${name}?at=${at}`, {
        method: "PUT",
        body,
        headers: { "content-type": "application/octet-stream" },
      });
    assert.deepEqual(await (await send(0)).json(), { bytes: 4 });
    assert.equal(await codeOf(await send(3)), "RESTORE_NOT_FOUND");
    assert.deepEqual(await (await send(4)).json(), { bytes: 8 });
    assert.equal(await codeOf(await send("x")), "INVALID_REQUEST");
    assert.equal(await codeOf(await send(2 ** 53)), "INVALID_REQUEST");
    assert.equal(await codeOf(await send(0, "part", "..%2F..%2Fetc")), "RESTORE_NOT_FOUND");
    assert.equal((await target.api(`/v1/restores/${id}`, { method: "DELETE" })).status, 204);
    assert.equal(await codeOf(await target.api(`/v1/restores/${id}`, { method: "POST" })), "RESTORE_NOT_FOUND");
  });
});

describe("a restore", () => {
  it("is one at a time", async () => {
    const answers = await Promise.all([restoreInto(target, file, "replace=1"), restoreInto(target, file, "replace=1")]);
    assert.ok(answers.some(({ status }) => status === 200));
    for (const { status, code } of answers) assert.ok(status === 200 || code === "RESTORE_RUNNING", code);
  });

  it("lets nobody change anything meanwhile", async () => {
    const lock = await CollectionLock.take(target.connection, "restore");
    try {
      assert.equal((await restoreInto(target, file, "replace=1")).code, "RESTORE_RUNNING");
      const refused = await target.deploy("other");
      assert.deepEqual([refused.status, refused.headers.get("retry-after")], [503, "5"]);
      assert.equal(await codeOf(refused), "RESTORE_RUNNING");
      assert.equal(await codeOf(await target.api("/v1/backup", { method: "POST" })), "RESTORE_RUNNING");
      assert.equal((await target.api("/v1/functions")).status, 200);
      assert.equal((await fetch(`${target.url}/fn/main/hello/`)).status, 200);
    } finally {
      await lock.release();
    }
    const making = await CollectionLock.take(target.connection, "backup");
    try {
      assert.equal((await restoreInto(target, file, "replace=1")).code, "BACKUP_RUNNING");
      assert.equal(await codeOf(await target.api("/v1/gc", { method: "POST" })), "BACKUP_RUNNING");
      assert.equal((await target.deploy("other")).status, 201);
    } finally {
      await making.release();
    }
  });

  it("that broke off changes nothing, and is done again", async () => {
    const parts = {
      redis: target.connection,
      artifacts: new FileArtifactStore(target.artifactsDir),
      dataKeys: new DataKeys(target.connection, masterKeys),
    };
    let opens = 0;
    async function* breaking() {
      const isSecond = ++opens === 2;
      yield isSecond ? file.subarray(0, file.length - 200) : file;
      if (isSecond) throw new Error("the disk is gone");
    }
    const before = await contentsOf(target, KEPT);
    await assert.rejects(restoreBackup(parts, breaking, { replace: true, withoutSecrets: false }), /the disk is gone/);
    assert.deepEqual(await contentsOf(target, KEPT), before);
    for (const key of await target.connection.keys("sp:restoring:*"))
      assert.ok((await target.connection.pttl(key)) > 0, key);
    assert.equal((await restoreInto(target, file, "replace=1")).status, 200);
  });

  it("of older data goes through the steps of the form", async () => {
    const copy = frames.map(({ kind, value }) => ({ kind, value: kind === "bytes" ? value : structuredClone(value) }));
    for (const { kind, value } of copy) {
      if (kind === "header") value.form = 1;
      if (kind !== "record") continue;
      if (value.part === "versions") inClear(value);
      if (value.part === "function")
        value.entries = value.entries.filter(([field]: [string]) => !/^(alias|revision):/.test(field));
    }
    assert.equal((await restoreInto(target, forged(copy), "replace=1")).status, 200);
    assert.equal(await target.connection.get("sp:form"), String(DATA_FORM));
    const versions = Object.values(await target.connection.hgetall("sp:versions:main:hello")).join();
    assert.ok(versions.includes("PLAIN") && !versions.includes("clear"), versions);
    assert.ok(await target.connection.hget("sp:function:main:hello", "alias:live"));
  });

  it("names the master key that lacks, and does without secrets when it is told so", async () => {
    const other = await startOperated(masterKeysOf(), { empty: true });
    try {
      const { status, code, message } = await restoreInto(other, file);
      assert.deepEqual([status, code], [409, "MASTER_KEY_MISSING"]);
      assert.match(message ?? "", new RegExp(`the master key ${masterKeys.first.id}, .*--without-secrets`));
      assert.equal((await restoreInto(other, file, "withoutSecrets=1")).status, 200);
      assert.equal((await fetch(`${other.url}/fn/main/hello/`)).status, 200);
      assert.deepEqual(await contentsOf(other, ["sp:secrets:", "sp:datakeys:"]), {});
      assert.deepEqual(await (await other.api("/v1/secrets")).json(), { secrets: [] });
    } finally {
      await other.stop();
    }
  });
});

it("has functions kept warm as they ask, and domains answer that are proven here", async (context) => {
  const [from, into] = await Promise.all([startOperated(masterKeys), startOperated(masterKeys, { empty: true })]);
  context.after(() => Promise.all([from.stop(), into.stop()]));
  const type = { "content-type": "application/json" };
  await from.deploy("kept", { minInstances: 2 });
  const claim = { method: "PUT", body: JSON.stringify({ function: "kept" }), headers: type };
  assert.equal((await from.api("/v1/domains/new.example.com", claim)).status, 201);
  // Of a function and a tenant that were there.
  await into.connection.hset("sp:provisions", "main/gone", '[{"version":"v","percent":100,"minInstances":1}]');
  const bound = { tenant: "main", functionName: "gone", provenAtMs: 1, by: "dns" };
  await into.connection.hset("sp:domains", "old.example.com", JSON.stringify(bound));
  assert.equal((await restoreInto(into, await backupOf(from))).status, 200);
  assert.deepEqual(await into.connection.hkeys("sp:provisions"), ["main/kept"]);
  assert.deepEqual(await into.connection.hkeys("sp:domains"), []);
  const { domains } = (await (await into.api("/v1/domains")).json()) as {
    domains: { name: string; proven: unknown }[];
  };
  assert.deepEqual(
    domains.map(({ name, proven }) => [name, proven]),
    [["new.example.com", null]],
  );
});

it("takes a backup whose functions were live, however they change meanwhile", async () => {
  const from = await startOperated(masterKeys, { empty: true, keepVersions: 0, keepVersionsMs: 0, gcGraceMs: 0 });
  const artifacts = new FileArtifactStore(from.artifactsDir);
  let built = 0;
  from.build = async () => {
    const [bundle, sourceMap] = [
      await artifacts.put(Buffer.from(`bundle ${built}`)),
      await artifacts.put(Buffer.from("map")),
    ];
    built++;
    return { ok: true, bundle, sourceMap, bundleBytes: 6, warnings: [] };
  };
  try {
    const live = new Map<string, Set<string>>();
    let isOver = false;
    /** Told of the next deployment. */
    const waiting: (() => void)[] = [];
    const change = async (name: string) => {
      const known = new Set<string>();
      live.set(name, known);
      for (let turn = 0; !isOver || turn < 4; turn++) {
        const response = await from.deploy(name, { timeoutMs: 1_000 + turn });
        const text = await response.text();
        assert.ok(response.ok, text);
        known.add((JSON.parse(text) as { version: string }).version);
        for (const tell of waiting.splice(0)) tell();
        if (turn % 3 === 1)
          await (
            await from.api(`/v1/functions/${name}/rollback`, {
              method: "POST",
              body: "{}",
              headers: { "content-type": "application/json" },
            })
          ).text();
        if (turn % 5 === 4) await from.api(`/v1/functions/${name}`, { method: "DELETE" });
        if (turn % 2 === 0) await (await from.api("/v1/gc", { method: "POST" })).text();
      }
    };
    const changes = Promise.all(["a", "b", "c"].map(change));
    const files: Buffer[] = [];
    for (let round = 0; round < 4; round++) {
      await new Promise<void>((resolve) => waiting.push(resolve));
      files.push(await backupOf(from));
    }
    isOver = true;
    await changes;
    let named = 0;
    for (const one of files) {
      const { status, body } = await restoreInto(target, one, "replace=1");
      assert.equal(status, 200, JSON.stringify(body));
      assert.equal(body.missing, 0);
      for (const name of (body.tenants as { main: string[] }).main) {
        const version = await target.connection.hget(`sp:function:main:${name}`, "version");
        assert.ok(live.get(name)?.has(version ?? ""), `${name} ${version}`);
        assert.equal((await fetch(`${target.url}/fn/main/${name}/`)).status, 200);
        named += 1;
      }
    }
    assert.ok(named > 0);
  } finally {
    await from.stop();
  }
});
