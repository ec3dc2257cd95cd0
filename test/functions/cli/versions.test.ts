/** `sandpiper versions`, `rollback`, `promote`, `alias` and `deploy --canary` at a gateway. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, it } from "node:test";
import { startTestGateway, type TestGateway } from "../../helpers/gateway.ts";
import { runCommand } from "../../helpers/in-process-cli.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const cwd = tempDir();
let test: TestGateway;
let env: Record<string, string>;
before(async () => {
  test = await startTestGateway();
  env = { SANDPIPER_URL: test.url, SANDPIPER_API_KEY: test.key };
});
after(() => test.stop());

const run = (...args: string[]) => runCommand(args, { cwd, env });
const json = async (...args: string[]) => {
  const { code, stdout, stderr } = await run(...args, "--json");
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
};

/** Deploys a version that this number tells from others. */
async function deploy(number: number, ...options: string[]): Promise<{ version: string; percent: number }> {
  mkdirSync(join(cwd, "shop"), { recursive: true });
  writeFileSync(join(cwd, "shop", "sandpiper.jsonc"), JSON.stringify({ name: "shop", entry: "index.js" }));
  writeFileSync(join(cwd, "shop", "index.js"), `export default () => new Response("${number}");`);
  return json("deploy", "shop", ...options);
}

it("deploys with words, lists, rolls back and promotes", async () => {
  const one = await deploy(1, "--message", "the first", "--tag", "v1");
  const two = await deploy(2, "-m", "more", "--canary", "10%", "--sticky", "cookie:session");
  assert.equal(two.percent, 10);
  const listed = await run("versions", "shop");
  assert.match(listed.stdout, new RegExp(`^${two.version.slice(0, 12)} +\\S+ +live 10% +- +more +http`, "m"));
  assert.match(listed.stdout, new RegExp(`^${one.version.slice(0, 12)} +\\S+ +live 90% +v1 +the first +http`, "m"));
  const promoted = await run("promote", "shop", "-m", "it is good");
  assert.equal(promoted.stderr, `shop runs ${two.version.slice(0, 12)}\n`);
  assert.deepEqual((await json("rollback", "shop", "v1")).routes, [{ version: one.version, percent: 100 }]);
  const info = await run("info", "shop");
  const [short, other] = [one.version.slice(0, 12), two.version.slice(0, 12)];
  assert.match(
    info.stdout,
    new RegExp(`rollback live: ${other} -> ${short}\n.*promote live: .* -> ${other} "it is good"`),
  );
  assert.equal((await json("info", "shop")).history.length, 4);
});

it("sets, lists and deletes aliases, and says what is wrong", async () => {
  const { version } = await deploy(3);
  const set = await run(
    "alias",
    "set",
    "shop",
    "beta",
    "v1",
    `${version.slice(0, 8)}=30%`,
    "--sticky",
    "header:x-user",
  );
  assert.match(
    set.stdout,
    /^beta +\w{12} 70%, \w{12} 30% {2}by header x-user {2}http:\/\/beta--shop\.main\./,
    set.stderr,
  );
  const beta = (await json("alias", "list", "shop")).find((one: { alias: string }) => one.alias === "beta");
  const stale = await run("rollback", "shop", "--if-match", beta.etag);
  assert.match(stale.stderr, /moved meanwhile[\s\S]*hint: look what is live now/);
  for (const versions of [["v1=0%"], ["v1=x"], ["v1=50%"], ["a", "b"], ["a=50%", "b=60%"], ["a", "b=1%", "c"], []]) {
    assert.equal((await run("alias", "set", "shop", "beta", ...versions)).code, 2, versions.join(" "));
  }
  assert.equal((await run("alias", "set", "shop", "a/b", "v1")).code, 3);
  assert.equal((await run("alias", "set", "shop", "beta", "nothing")).code, 6);
  assert.equal((await run("alias", "move", "shop")).code, 2);
  assert.equal((await run("alias", "delete", "shop", "beta", "--if-match", beta.etag)).code, 0);
  assert.equal((await run("alias", "delete", "shop", "beta")).code, 6);
  assert.equal((await run("deploy", "shop", "--sticky", "cookie:a")).code, 2);
  assert.equal((await run("deploy", "shop", "--canary", "200%")).code, 2);
});

it("has a canary watch itself, and shows by which terms", async () => {
  await deploy(10);
  const { version } = await deploy(11, "--canary", "20%", "--auto", "--window", "5m", "--max-errors", "2.5%");
  const short = version.slice(0, 12);
  const [live] = await json("alias", "list", "shop");
  assert.deepEqual(live.auto, { windowMs: 300_000, maxErrorPercent: 2.5, minCalls: 50 });
  const terms = `${short} 20% {2}auto: 5m, errors \\+2.5% at most, 50 calls`;
  assert.match((await run("alias", "list", "shop")).stdout, new RegExp(`^live .*${terms} {2}http`, "m"));
  assert.match((await run("info", "shop")).stdout, new RegExp(`^live +\\w{12} 80%, ${terms}$`, "m"));
  assert.deepEqual((await json("info", "shop")).aliases[0].auto, live.auto);
  const set = await json("alias", "set", "shop", "live", "v1", `${short}=10%`, "--auto", "--min-calls", "7");
  assert.deepEqual(set.auto, { windowMs: 600_000, maxErrorPercent: 5, minCalls: 7 });
  const again = await run("deploy", "shop", "--canary", "10%", "--auto");
  assert.match(again.stderr, /^canary: it gets 10 % of the calls until it is promoted or taken back by itself$/m);
  assert.equal((await json("rollback", "shop", "v1")).auto, undefined);
});

it("refuses terms of a watch that nobody asked for, or that mean nothing", async () => {
  const refused = [
    ["--auto"],
    ["--canary", "10%", "--window", "5m"],
    ["--canary", "10%", "--min-calls", "5"],
    ["--canary", "10%", "--auto", "--max-errors", "101%"],
    ["--canary", "10%", "--auto", "--window", "soon"],
  ];
  for (const options of refused) assert.equal((await run("deploy", "shop", ...options)).code, 2, options.join(" "));
  assert.equal((await run("alias", "set", "shop", "beta", "v1", "--auto")).code, 3);
});
