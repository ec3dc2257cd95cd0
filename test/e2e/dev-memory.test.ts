/**
 * What `sandpiper dev` holds after many reloads. SANDPIPER_TEST_RELOADS makes it more of them:
 * 1,000 take some minutes.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import { pathToFileURL } from "node:url";
import { KIB } from "../../infra/std/bytes.ts";
import { Dev } from "../helpers/dev.ts";
import { childrenOf, Platform } from "../helpers/platform.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const RELOADS = Number(process.env.SANDPIPER_TEST_RELOADS ?? 40);
/** Until then caches fill, of compiled code among others. */
const WARM_UP = 10;
/**
 * The records of the last calls are kept, some KiB each. A reload that left its files behind, which
 * are 64 KiB, or its bundle, would keep more.
 */
const MOST_A_RELOAD = 24 * KIB;
const HEAP_MODULE = pathToFileURL(join(import.meta.dirname, "../helpers/heap-module.ts")).href;

interface Held {
  usedBytes: number;
  resources: number;
}

const residentMib = (pid: number) =>
  Math.round(Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / KIB);

it("grows with no reload", async (t) => {
  await using stack = new AsyncDisposableStack();
  const platform = await Platform.start({ env: { SANDPIPER_GC_INTERVAL_MS: "0" } });
  stack.defer(() => platform.stop());
  const padding = `// ${"x".repeat(64 * KIB)}\n`;
  const source = (n: number) => `${padding}import { a } from "./a.ts"; console.log(a); export default () => "${n}";`;
  const files = { "index.ts": source(0), "a.ts": "export const a = 1;" };
  const dev = await Dev.start(platform, tempDir(), "memory", files, {
    nodeArguments: ["--expose-gc", "--import", HEAP_MODULE],
  });
  stack.defer(async () => void (await dev.stop()));
  await dev.next("live");
  const held = async () => {
    dev.child.kill("SIGUSR2");
    return await dev.next<Held & { event: string }>("heap");
  };
  const told = async (count: number) => {
    const { usedBytes, resources } = await held();
    const pids = [dev.child.pid as number, ...childrenOf(dev.child.pid as number), ...platform.gatewayPids];
    const resident = [...pids, platform.workers[0]?.pid as number].map(residentMib).join(", ");
    t.diagnostic(
      `${count}: heap ${usedBytes} bytes, ${resources} resources; MiB of dev, esbuild, gateway, worker: ${resident}`,
    );
    return { usedBytes, resources };
  };
  let before = await told(0);
  for (let count = 1; count <= RELOADS; count++) {
    // Every tenth is one that does not build, and is called, as it is in use.
    if (count % 10 === 0) {
      dev.write("index.ts", "{");
      await dev.next("failed");
    }
    dev.write("index.ts", source(count));
    await dev.next("live");
    assert.equal(await dev.text(), String(count));
    if (count === WARM_UP) before = await told(count);
    else if (count % 100 === 0) await told(count);
  }
  const after = await told(RELOADS);
  assert.ok(
    after.usedBytes - before.usedBytes < (RELOADS - WARM_UP) * MOST_A_RELOAD,
    JSON.stringify({ before, after }),
  );
  assert.ok(after.resources <= before.resources + 2, JSON.stringify({ before, after }));
});
