/** Hundreds of forks of one zygote, and no random value twice. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { evaluating, openTestLauncher, SandboxClient } from "../../helpers/sandbox-client.ts";

const SANDBOXES = 400;
const AT_ONCE = 8;

/** One draw from every source of random values that a function can reach. */
const DRAWS = {
  mathRandom: "Math.random()",
  mathRandomOfAContext: `vm.runInNewContext("Math.random()")`,
  randomBytes: `crypto.randomBytes(16).toString("hex")`,
  randomUuid: "crypto.randomUUID()",
  randomInt: "crypto.randomInt(2 ** 47)",
  randomFill: `crypto.randomFillSync(Buffer.alloc(16)).toString("hex")`,
  getRandomValues: `Buffer.from(globalThis.crypto.getRandomValues(new Uint8Array(16))).toString("hex")`,
  webUuid: "globalThis.crypto.randomUUID()",
  generatedKey: `crypto.generateKeySync("hmac", { length: 128 }).export().toString("hex")`,
  keyPair: `crypto.generateKeyPairSync("ed25519").publicKey.export({ format: "jwk" }).x`,
  boundary: `new Response(new FormData()).headers.get("content-type")`,
  temporary: `fs.mkdtempSync("/tmp/a-")`,
};

test("hundreds of sandboxes never draw the same value", async () => {
  const launcher = await openTestLauncher();
  const code = evaluating(
    `({ ${Object.entries(DRAWS)
      .map(([name, draw]) => `${name}: ${draw}`)
      .join(", ")} })`,
  );
  const seen = new Map(Object.keys(DRAWS).map((name) => [name, new Set<unknown>()]));
  let left = SANDBOXES;
  const drawInTurn = async () => {
    while (left-- > 0) {
      await using client = await SandboxClient.with(launcher, code);
      const drawn = JSON.parse(await client.text()) as Record<string, unknown>;
      for (const [name, values] of seen) values.add(drawn[name]);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, drawInTurn));
  await launcher.close();
  // A context's seed is 31 bits and a name in /tmp six letters, so among hundreds two may meet by
  // chance.
  const fewest: Record<string, number> = { mathRandomOfAContext: SANDBOXES - 2, temporary: SANDBOXES - 2 };
  for (const [name, values] of seen)
    assert.ok(values.size >= (fewest[name] ?? SANDBOXES), `${name}: ${values.size} different of ${SANDBOXES}`);
});
