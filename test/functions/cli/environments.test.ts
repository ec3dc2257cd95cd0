/** Environments of sandpiper.jsonc, and variables of the command line, at a gateway. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, it } from "node:test";
import { startTestGateway, type TestGateway } from "../../helpers/gateway.ts";
import { runCommand } from "../../helpers/in-process-cli.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const cwd = tempDir();
let test: TestGateway;
before(async () => {
  test = await startTestGateway();
});
after(() => test.stop());

const run = (...args: string[]) =>
  runCommand(args, { cwd, env: { SANDPIPER_URL: test.url, SANDPIPER_API_KEY: test.key } });

/** Writes a function with this configuration. */
function write(config: object): void {
  mkdirSync(join(cwd, "shop"), { recursive: true });
  writeFileSync(join(cwd, "shop", "sandpiper.jsonc"), JSON.stringify({ name: "shop", entry: "index.js", ...config }));
  writeFileSync(join(cwd, "shop", "index.js"), "export default () => new Response();");
}

async function configOf(name: string) {
  const { code, stdout, stderr } = await run("info", name, "--json");
  assert.equal(code, 0, stderr);
  const { config } = JSON.parse(stdout);
  return { timeoutMs: config.timeoutMs, memoryMiB: config.memoryMiB, env: Object.keys(config.env) };
}

it("an environment is a function of its own, with its fields and variables laid over the others", async () => {
  const staging = { timeoutMs: 5_000, env: { LEVEL: "debug" } };
  write({ memoryMiB: 64, env: { CURRENCY: "EUR" }, environments: { staging, other: { name: "elsewhere" } } });
  for (const args of [[], ["--env", "staging", "--var", "A=b=c", "--var", "D="], ["--env", "other"]]) {
    const { code, stderr } = await run("deploy", "shop", ...args);
    assert.equal(code, 0, stderr);
  }
  assert.deepEqual(await configOf("shop"), { timeoutMs: 10_000, memoryMiB: 64, env: ["CURRENCY"] });
  const env = ["CURRENCY", "LEVEL", "A", "D"];
  assert.deepEqual(await configOf("shop-staging"), { timeoutMs: 5_000, memoryMiB: 64, env });
  assert.deepEqual(await configOf("elsewhere"), { timeoutMs: 10_000, memoryMiB: 64, env: ["CURRENCY"] });
});

it("what is wrong in an environment is named with its place, whichever is deployed", async () => {
  for (const [environments, pattern] of [
    [{ staging: { timeoutMs: -1 } }, /:1:\d+: "environments\.staging\.timeoutMs" is not right/],
    [{ staging: { tiemout: 1 } }, /unknown field "tiemout" in "environments\.staging"/],
    [{ staging: { environments: {} } }, /unknown field "environments" in "environments\.staging"/],
    [{ staging: 1 }, /"environments\.staging" is not right: it must be an object/],
    [{ "a/b": {} }, /"environments\.a\/b" is not right: its name/],
    [{ ["x".repeat(60)]: {} }, /with it, "name" is not right/],
    [[], /"environments" is not right: it must be an object/],
  ] as const) {
    write({ environments });
    const { code, stderr } = await run("deploy", "shop");
    assert.equal(code, 3, stderr);
    assert.match(stderr, pattern);
  }
});

it("an unknown environment, and what is no variable, deploy nothing", async () => {
  write({ environments: { staging: {} } });
  const unknown = await run("deploy", "shop", "--env", "production");
  assert.equal(unknown.code, 3);
  assert.match(unknown.stderr, /no environment "production"[\s\S]*there are: staging/);
  for (const word of ["A", "=b", "a b=c", "NODE_OPTIONS=x", "A=\0"]) {
    const { code, stderr } = await run("deploy", "shop", "--var", word);
    assert.equal(code, 2, `${word}: ${stderr}`);
  }
});
