/** How a zygote's memory lies, of which every fork copies the tables. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { test } from "node:test";
import { fillHoles, trimMalloc } from "../../../sandbox-core/syscall/memory.ts";
import { gapsIn, parseMappings } from "../../../sandbox-core/zygote/memory.ts";
import { openTestLauncher, SandboxClient } from "../../helpers/sandbox-client.ts";

/** Linux 6.1 and newer make them when they are asked to. */
const [major = 0, minor = 0] = release().split(".").map(Number);
const HUGE_PAGES = existsSync("/sys/kernel/mm/transparent_hugepage") && major * 100 + minor >= 601;
const PIECE = 0x4_0000;

const MAPS = `10000000-10700000 rw-p 00000000 00:00 0                  [heap]
7ffff7fc0000-7ffff7fc4000 r--p 00000000 00:00 0          [vvar]
`;

test("mappings are read as the kernel writes them", () => {
  assert.deepEqual(parseMappings(MAPS), [
    [0x1000_0000n, 0x1070_0000n],
    [0x7fff_f7fc_0000n, 0x7fff_f7fc_4000n],
  ]);
  assert.deepEqual(parseMappings(MAPS, / rw-p /), [[0x1000_0000n, 0x1070_0000n]]);
});

test("gaps are what is free of a range, at its ends too", () => {
  assert.deepEqual(gapsIn([10n, 50n], []), [[10n, 50n]]);
  const taken = [
    [0n, 5n],
    [8n, 12n],
    [20n, 30n],
    [30n, 40n],
    [60n, 70n],
  ] as const;
  assert.deepEqual(gapsIn([10n, 50n], taken), [
    [12n, 20n],
    [40n, 50n],
  ]);
  assert.deepEqual(gapsIn([10n, 50n], [[5n, 60n]]), []);
});

test("the heap of a zygote that forked lies together, and tenants' lies where V8 wants it", async () => {
  const launcher = await openTestLauncher();
  try {
    await using client = await SandboxClient.with(
      launcher,
      "globalThis.kept = Array.from({ length: 40 }, () => new Array(20_000).fill({})); export default () => new Response();",
    );
    const pieces = (pid: number) =>
      Array.from(
        readFileSync(`/proc/${pid}/maps`, "latin1").matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw-p 0+ 00:00 0 *$/gm),
        ([, from, to]): [number, number] => [Number.parseInt(from ?? "", 16), Number.parseInt(to ?? "", 16)],
      )
        .filter(([from]) => from % PIECE === 0)
        .map(([from, to]) => (to - from) / PIECE);
    const ofZygote = pieces(await launcher.zygotePid());
    const together = ofZygote.filter((count) => count > 1).reduce((sum, count) => sum + count, 0);
    const alone = ofZygote.filter((count) => count === 1).length;
    assert.ok(together > 2 * alone, `${together} pieces together, ${alone} alone`);
    assert.ok(pieces(client.sandbox.pid).length > ofZygote.length);
  } finally {
    await launcher.close();
  }
});

test("what malloc had free is taken, and then there is next to nothing more", () => {
  trimMalloc();
  const filledBytes = fillHoles();
  assert.ok(filledBytes > 100_000, `${filledBytes} bytes`);
  trimMalloc();
  assert.ok(fillHoles() < filledBytes / 4);
});

test("a zygote has its heaps put into huge pages, where the kernel has them", { skip: !HUGE_PAGES }, async () => {
  const collapsed = () => Number(/^thp_collapse_alloc (\d+)$/m.exec(readFileSync("/proc/vmstat", "latin1"))?.[1]);
  const before = collapsed();
  const launcher = await openTestLauncher();
  await launcher.close();
  // What they are split into by forks that write shows nowhere any more.
  assert.ok(collapsed() > before);
});
