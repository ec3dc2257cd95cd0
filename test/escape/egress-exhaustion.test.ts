/** A relay that may have few descriptors: a tenant that wants all of them leaves some to others. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, test } from "node:test";
import { EgressRelay } from "../../sandbox-core/launcher/egress-relay.ts";
import type { ZygoteLauncher } from "../../sandbox-core/launcher/launcher.ts";
import { EgressClient, policyOf } from "../helpers/egress.ts";
import { NAME_SERVER, PORTS, PUBLIC, PublicNet } from "../helpers/public-net.ts";
import { openTestLauncher } from "../helpers/sandbox-client.ts";

/** Too few for a relay's own and two for each of `HOLD`'s connections. */
const DESCRIPTORS = 80;

let launcher: ZygoteLauncher;
let net: PublicNet;
let relay: EgressRelay;
before(async () => {
  [launcher, net] = await Promise.all([openTestLauncher(), PublicNet.open()]);
  // The relay has the limit of whoever starts it; what was started before keeps its own.
  execFileSync("prlimit", ["--pid", String(process.pid), `--nofile=${DESCRIPTORS}:${DESCRIPTORS}`]);
  relay = new EgressRelay({ networkNamespace: net.namespace, nameServers: [NAME_SERVER], hostsFile: "/dev/null" });
  net.answer = () => [PUBLIC];
});
after(async () => {
  await Promise.all([launcher.close(), relay.close()]);
  await net[Symbol.asyncDispose]();
});

const HOLD = `(async () => {
  if (kept.length > 0) { for (const s of kept.splice(0)) s.destroy(); return "let go"; }
  await Promise.all(Array.from({ length: 40 }, () => new Promise((resolve) => {
    const s = net.connect(${PORTS.echo}, "api.example", () => s.write("x")).on("error", resolve).on("data", resolve).on("close", resolve);
    kept.push(s);
  })));
  return "held";
})()`;
const TALK = `talk(${PORTS.echo}, "api.example", "hi", 2)`;
const open = (tenant: string, expression: string) =>
  EgressClient.open(launcher, relay, policyOf(`api.example:${PORTS.echo}`, { tenant }), expression);

test("one tenant uses up no descriptors that others need, also those that come later", async () => {
  await using holder = await open("greedy", HOLD);
  await using other = await open("other", TALK);
  assert.equal(await other.value(), "hi");
  const { pid } = relay;
  assert.equal(await holder.value(), "held");
  assert.equal((await holder.told("refused")).verdict, "relay_full");
  assert.equal(await other.value(), "hi");
  await using next = await open("next", TALK);
  assert.equal(await next.value(), "hi");
  assert.equal(await holder.value(), "let go");
  assert.equal(relay.pid, pid);
});
