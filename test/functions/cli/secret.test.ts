/** `sandpiper secret` against a gateway: where values come from, and that none is shown. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, it } from "node:test";
import { DataKeys } from "../../../functions/store/data-keys.ts";
import { SecretStore } from "../../../functions/store/secrets.ts";
import { makeOperatorKey } from "../../../functions/store/tenant.ts";
import { SANDPIPER } from "../../helpers/cli.ts";
import { startTestGateway, type TestGateway } from "../../helpers/gateway.ts";
import { runCommand } from "../../helpers/in-process-cli.ts";
import { masterKeysOf } from "../../helpers/master-keys.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const masterKeys = masterKeysOf();
let test: TestGateway;
let env: Record<string, string>;
before(async () => {
  test = await startTestGateway({ masterKeys });
  env = { SANDPIPER_URL: test.url, SANDPIPER_API_KEY: test.key };
});
after(() => test.stop());

const run = (args: string[], input?: string | Uint8Array) =>
  runCommand(["secret", ...args], { cwd: tempDir(), env, ...(input !== undefined && { input }) });

/** The value of a secret, as a worker would have it. */
async function keptValue(name: string, functionName = "hello"): Promise<string | undefined> {
  const store = new SecretStore(test.connection, new DataKeys(test.connection, masterKeys));
  const opened = await store.open({ tenant: "main", functionName, version: "" }, [name]);
  return opened.values.get(name);
}

it("takes values from standard input as they are, but for one line feed at the end", async () => {
  for (const [input, value] of [
    ["value\n", "value"],
    ["value", "value"],
    ["two\nlines\n\n", "two\nlines\n"],
    ["\r\n", undefined],
    ["windows\r\n", "windows"],
    [" spaces \n", " spaces "],
    ["ü€😀", "ü€😀"],
  ] as const) {
    const { code, stdout, stderr } = await run(["set", "NAME", "-f", "hello"], input);
    assert.equal(code, value === undefined ? 2 : 0, stderr);
    assert.equal(stdout, "");
    if (value !== undefined) assert.equal(await keptValue("NAME"), value);
  }
  const { code, stderr } = await run(["set", "NAME"], Buffer.from([0xff, 0xfe]));
  assert.equal(code, 2);
  assert.match(stderr, /no text in UTF-8[\s\S]*base64/);
});

it("asks on a terminal without echo", async () => {
  const typed = `node ${SANDPIPER} secret set TYPED -f hello`.replace("node", process.execPath);
  const child = spawn("script", ["-qfec", typed, "/dev/null"], { env: { ...process.env, ...env }, cwd: tempDir() });
  let shown = "";
  const seen = Promise.withResolvers<void>();
  child.stdout.on("data", (chunk: Buffer) => {
    shown += chunk;
    if (shown.includes("Value of TYPED: ")) seen.resolve();
  });
  await seen.promise;
  child.stdin.write("wrong\u0015canaryX\u007f-value\r");
  const [code] = await once(child, "exit");
  assert.equal(code, 0, shown);
  assert.equal(await keptValue("TYPED"), "canary-value");
  assert.ok(!/canary|wrong/.test(shown), shown);
  assert.match(shown, /set the secret of hello: TYPED, version \d+/);
});

it("lists and deletes, and says what is wrong", async () => {
  await run(["set", "SHARED"], "canary-value");
  const listed = await run(["list"]);
  assert.match(listed.stdout, /^SHARED +\(tenant\) +version \d+ /m);
  assert.match(listed.stdout, /^TYPED +hello +version \d+ /m);
  assert.doesNotMatch(listed.stdout + listed.stderr, /canary/);
  const json = await run(["list", "--function", "hello", "--json"]);
  assert.ok((JSON.parse(json.stdout) as object[]).length >= 1);
  assert.equal((await run(["delete", "SHARED"])).code, 0);
  const gone = await run(["delete", "SHARED"]);
  assert.equal(gone.code, 6);
  assert.match(gone.stderr, /The tenant has no secret SHARED/);
  for (const args of [["set"], ["set", "NAME=canary-value"], ["list", "NAME"], ["show", "NAME"], []]) {
    const { code, stderr } = await run(args, "x");
    assert.equal(code, 2, args.join(" "));
    assert.ok(!stderr.includes("canary"), stderr);
  }
  assert.equal((await run(["set", "LD_PRELOAD"], "x")).code, 3);
  assert.match((await run(["rewrap"])).stderr, /^all data keys are sealed with the master key [0-9a-f]+ now\n$/);
  await makeOperatorKey(test.connection, test.key.split("_")[1] ?? "");
  assert.match((await run(["rewrap"])).stderr, /^0 data keys of \d+ tenants were sealed anew\nall data keys are/);
});
