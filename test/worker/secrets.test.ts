/** Secrets on their way into sandboxes: who gets which, what a change does, and what logs show. */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import type { FunctionConfig } from "../../functions/model/manifest.ts";
import { DataKeys } from "../../functions/store/data-keys.ts";
import { readLogs } from "../../functions/store/logs.ts";
import { Registry } from "../../functions/store/registry.ts";
import { SecretStore } from "../../functions/store/secrets.ts";
import { eventually } from "../helpers/eventually.ts";
import { masterKeysOf } from "../helpers/master-keys.ts";
import { TestWorker } from "../helpers/worker.ts";

const SHOWS = "export default (request, env) => Response.json({ env, process: { ...process.env } });";
const VALUE = "canary-7f3a9c-value";

let test: TestWorker;
let secrets: SecretStore;
before(async () => {
  test = await TestWorker.start();
  secrets = new SecretStore(test.connection, new DataKeys(test.connection, test.masterKeys));
});
after(() => test.stop());
afterEach(async () => {
  for (const { name, functionName } of await secrets.listAll("main")) {
    await secrets.delete({ tenant: "main", functionName }, name);
  }
});

const set = (functionName: string | null, name: string, value: string, tenant = "main") =>
  secrets.set({ tenant, functionName }, name, value);

/** The environment that a function sees, without what the platform sets. */
async function seen(name: string): Promise<Record<string, string>> {
  const { text, outcome } = await test.call(name);
  assert.equal(outcome, "ok", text);
  return (JSON.parse(text) as { env: Record<string, string> }).env;
}

/** Deploys with the environment sealed, as a gateway does. */
async function deploySealed(name: string, source: string, settings: Partial<FunctionConfig>) {
  const version = await test.deploy(name, source, settings);
  const env = await secrets.sealEnv(version, version.config.env);
  await new Registry(test.connection).putVersion({
    ...version,
    config: { ...version.config, env: {} },
    ...(env && { env }),
  });
  return version;
}

describe("a function", () => {
  it("gets its sealed environment and its own secrets, in env and process.env", async () => {
    await set("whole", "SECRET", VALUE);
    await set(null, "OF_TENANT", "not declared");
    await deploySealed("whole", SHOWS, { env: { PLAIN: "plain value", BOTH: "plain" } });
    await set("whole", "BOTH", "the secret wins");
    const { text } = await test.call("whole");
    const { env, process } = JSON.parse(text) as Record<string, Record<string, string>>;
    for (const given of [env, process]) {
      assert.partialDeepStrictEqual(given, { PLAIN: "plain value", SECRET: VALUE, BOTH: "the secret wins" });
      assert.equal(given?.OF_TENANT, undefined);
    }
  });

  it("that declares secrets gets those alone, its own before its tenant's", async () => {
    await set("chosen", "OWN", "own");
    await set("chosen", "LEFT_OUT", "left out");
    await set(null, "SHARED", "of the tenant");
    await set(null, "OWN", "of the tenant");
    await set("neighbour", "SHARED", "of a neighbour");
    await test.deploy("chosen", SHOWS, { secrets: ["OWN", "SHARED"] });
    assert.deepEqual(await seen("chosen"), { OWN: "own", SHARED: "of the tenant" });
  });

  it("of another tenant gets none of them", async () => {
    await set("whole", "SECRET", VALUE);
    await set(null, "SHARED", VALUE);
    await test.deploy("whole", SHOWS, { tenant: "else", secrets: [] });
    assert.ok(!(await test.call("else/whole")).text.includes(VALUE));
    await test.deploy("declares", SHOWS, { tenant: "else", secrets: ["SHARED"] });
    assert.equal((await test.call("else/declares")).error?.code, "SECRET_MISSING");
  });

  it("that lacks a secret says which, to its author alone, and works as soon as it is set", async () => {
    const version = await test.deploy("lacks", SHOWS, { secrets: ["LACKING", "OTHER"] });
    const checked = await test.check(version);
    assert.ok(!checked.ok && checked.cause === "function");
    assert.match(checked.message, /LACKING, OTHER are declared, and they are not set/);
    assert.match(checked.message, /sandpiper secret set LACKING --function lacks/);
    const { id, error } = await test.call("lacks");
    assert.equal(error?.code, "SECRET_MISSING");
    assert.doesNotMatch(error?.message ?? "", /LACKING/);
    assert.match((await test.logs("lacks", id)).map(({ text }) => text).join("\n"), /LACKING, OTHER are declared/);
    await set("lacks", "LACKING", "1");
    await set(null, "OTHER", "2");
    assert.deepEqual(await seen("lacks"), { LACKING: "1", OTHER: "2" });
    assert.deepEqual((await test.check(version)).ok, true);
  });

  it("with more than one frame can carry says so", async () => {
    for (let index = 0; index < 5; index++) await set("large", `LARGE${index}`, "x".repeat(32_000));
    await test.deploy("large", SHOWS);
    const { error, id } = await test.call("large");
    assert.equal(error?.code, "ENVIRONMENT_TOO_LARGE");
    const logged = (await test.logs("large", id)).map(({ text }) => text);
    assert.match(logged.join("\n"), /may have 131072/);
  });

  it("whose secrets do not open is not blamed, and the worker's log says why", async () => {
    await set("sealed", "SECRET", VALUE);
    const key = "sp:secrets:main:sealed";
    const other = new SecretStore(test.connection, new DataKeys(test.connection, masterKeysOf()));
    await other.set({ tenant: "foreign", functionName: "x" }, "SECRET", "x");
    const foreign = JSON.parse((await test.connection.hget("sp:secrets:foreign:x", "SECRET")) ?? "");
    await test.connection.hset(key, "SECRET", JSON.stringify(foreign));
    await test.deploy("sealed", SHOWS);
    const { error, outcome } = await test.call("sealed");
    assert.deepEqual([outcome, error?.code], ["platform_error", "SECRETS_UNREADABLE"]);
    assert.ok(
      test.logged.some(({ msg, message }) => /secrets of main\/sealed cannot be opened/.test(`${msg}${message}`)),
    );
  });
});

describe("a change of a secret", () => {
  for (const [what, settings, prefix] of [
    ["instances", {}, ""],
    ["calls with an instance each", { isolation: "invocation" }, ""],
    [
      "copies of a slow module",
      {},
      "const until = process.cpuUsage().user + 400_000; while (process.cpuUsage().user < until);\n",
    ],
  ] as const) {
    it(`is in the next call of ${what}, without a deployment`, async () => {
      const name = `changes-${settings && "isolation" in settings ? "each" : prefix === "" ? "plain" : "slow"}`;
      await test.deploy(name, prefix + SHOWS, settings);
      assert.deepEqual(await seen(name), {});
      for (const value of ["one", "two"]) {
        await set(name, "SECRET", value);
        await eventually(async () => (await seen(name)).SECRET === value);
        for (let call = 0; call < 3; call++) assert.equal((await seen(name)).SECRET, value);
      }
      await secrets.delete({ tenant: "main", functionName: name }, "SECRET");
      await eventually(async () => (await seen(name)).SECRET === undefined);
    });
  }

  it("lets the call that runs end with the old one, and ends its instance then", async () => {
    const code = `
      let open = () => {};
      export default async (request, env) => {
        if (request.url.endsWith("/wait")) { console.log("waits"); await new Promise((resolve) => setTimeout(resolve, 3_000)); }
        return Response.json({ env, pid: process.pid, up: performance.timeOrigin });
      };`;
    await test.deploy("running", code);
    await set("running", "SECRET", "old");
    assert.equal((await seen("running")).SECRET, "old");
    const running = test.call("running", { path: "/wait" });
    await eventually(async () => (await test.connection.xlen("sp:logs:main:running")) > 1);
    await set("running", "SECRET", "new");
    await eventually(async () => (await seen("running")).SECRET === "new");
    assert.equal(JSON.parse((await running).text).env.SECRET, "old");
    assert.equal((await seen("running")).SECRET, "new");
  });

  it("of a tenant's secret leaves functions alone that name none", async () => {
    const counts =
      "let calls = 0; export default (request, env) => Response.json({ env: { ...env, calls: ++calls } });";
    await test.deploy("apart", counts);
    await test.deploy("names", counts, { secrets: ["SHARED"] });
    await set(null, "SHARED", "one");
    await Promise.all([seen("apart"), seen("names")]);
    await set(null, "SHARED", "two");
    await eventually(async () => (await seen("names")).SHARED === "two");
    assert.ok(Number((await seen("apart")).calls) > 1);
  });
});

describe("a log", () => {
  /** All of a function's log once a call is recorded; output to descriptors may come later. */
  const logOf = async (name: string, id: string) => {
    await test.record(id);
    const placed = await readLogs(test.connection, { tenant: "main", functionName: name }, { limit: 500 });
    return placed.flatMap(({ entry }) => ("end" in entry ? [] : [entry.text])).join("\n");
  };

  it("masks secrets, however they are written", async () => {
    const multi = `first line of ${VALUE}\nsecond line of ${VALUE}`;
    await set("writes", "SECRET", VALUE);
    await set("writes", "MULTI", multi);
    await test.deploy(
      "writes",
      `import { writeSync } from "node:fs";
      console.log("while loading", process.env.SECRET);
      export default (request, { SECRET, MULTI }) => {
        console.log("console", SECRET, { SECRET });
        console.error(new Error("error " + SECRET));
        console.log(MULTI);
        for (const character of "stdout " + SECRET + "\\n") process.stdout.write(character);
        writeSync(1, "fd " + SECRET.slice(0, 5)); writeSync(1, SECRET.slice(5) + " end\\n");
        writeSync(2, "x".repeat(8_185) + SECRET + "y".repeat(20_000) + SECRET + "\\n");
        console.log(btoa("user:" + SECRET), encodeURIComponent(SECRET), "last");
        return new Response(SECRET);
      };`,
    );
    const { id, text } = await test.call("writes");
    assert.equal(text, VALUE);
    await eventually(async () => /last/.test(await logOf("writes", id)) && /y{100}/.test(await logOf("writes", id)));
    const log = await logOf("writes", id);
    for (const part of [
      "while loading [secret]",
      "console [secret]",
      "error [secret]",
      "stdout [secret]",
      "fd [secret] end",
    ]) {
      assert.ok(log.includes(part), `${part}\n${log.slice(0, 2_000)}`);
    }
    for (const form of ["canary", "7f3a9c", Buffer.from(`user:${VALUE}`).toString("base64").slice(8, 24)]) {
      assert.ok(!log.includes(form), form);
    }
  });

  it("and what a deployment is told mask what a module throws", async () => {
    await set("throws", "SECRET", VALUE);
    const version = await test.deploy("throws", "throw new Error('bad key ' + process.env.SECRET); export default 1;");
    const checked = await test.check(version);
    assert.ok(!checked.ok);
    assert.match(checked.message, /bad key \[secret\]/);
    const { id } = await test.call("throws");
    assert.match(await logOf("throws", id), /bad key \[secret\]/);
  });

  it("masks what a handler throws", async () => {
    await set("fails", "SECRET", VALUE);
    await test.deploy("fails", "export default (request, env) => { throw new TypeError('no ' + env.SECRET); };");
    const { id, error } = await test.call("fails");
    assert.equal(error?.code, "FUNCTION_ERROR");
    assert.match(await logOf("fails", id), /TypeError: no \[secret\]/);
  });
});
