/** Egress where each sandbox starts a runtime of its own, as a machine does whose forks die. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EgressRelay } from "../../../sandbox-core/launcher/egress-relay.ts";
import { EgressClient, policyOf } from "../../helpers/egress.ts";
import { NAME_SERVER, PORTS, PUBLIC, PublicNet } from "../../helpers/public-net.ts";
import { openTestLauncher } from "../../helpers/sandbox-client.ts";

test("a sandbox without forks reaches what is declared, and nothing else", async () => {
  await using net = await PublicNet.open();
  net.answer = () => [PUBLIC];
  const launcher = await openTestLauncher({ kind: "exec" });
  try {
    await using relay = new EgressRelay({
      networkNamespace: net.namespace,
      nameServers: [NAME_SERVER],
      hostsFile: "/dev/null",
    });
    await using client = await EgressClient.open(
      launcher,
      relay,
      policyOf(`api.example:${PORTS.echo}`),
      `Promise.all([
        talk(${PORTS.echo}, "api.example", "over", 4),
        talk(${PORTS.echo}, "other.example").catch(code),
        talk(${PORTS.sink}, "api.example").catch(code),
        talk(${PORTS.echo}, "${PUBLIC}").catch(code),
      ])`,
    );
    assert.equal(launcher.kind, "exec");
    assert.deepEqual(await client.value(), [
      "over",
      { error: "ENOTFOUND" },
      { error: "ECONNREFUSED" },
      { error: "ENETUNREACH" },
    ]);
    await client.told("refused", "undeclared_name");
  } finally {
    await launcher.close();
  }
});
