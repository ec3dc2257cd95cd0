/**
 * Programs behind the walls: what a sandbox of the `exec` launcher, a build, and a box with and
 * without a terminal have in common with forks, tried natively by the program itself
 * (native/walls.c). Nothing that it holds has its holder wait, and what no group is charged for has
 * limits.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { finished } from "node:stream/promises";
import { after, before, describe, test } from "node:test";
import type { Program } from "../../sandbox-core/contract/program.ts";
import { FIRST_BUFFER_BYTES, MOST_WAITING } from "../../sandbox-core/fork/network.ts";
import { Box, type BoxOptions, runProgram, Zygote } from "../../sandbox-core/index.ts";
import type { ZygoteLauncher } from "../../sandbox-core/launcher/launcher.ts";
import { MOST_LOCKS, TOO_MANY_LOCKS } from "../../sandbox-core/launcher/machine-watch.ts";
import { canRefuseDescriptors } from "../../sandbox-core/syscall/steps.ts";
import { LIMITS, openTestLauncher } from "../helpers/sandbox-client.ts";
import { stretched } from "../helpers/slowness.ts";
import { wallsProgram } from "./native/walls.ts";

const PLACE = "/walls";
const source = wallsProgram();
const PROGRAM: Program = {
  argv: [PLACE],
  env: {},
  workingDirectory: "/tmp",
  binds: [{ source, target: PLACE, kind: "file", executable: true }],
};
const BOX: BoxOptions = { argv: [PLACE], root: "bare", binds: [{ source, target: PLACE }], limits: LIMITS };

let launcher: ZygoteLauncher;
let zygote: Zygote;
before(async () => {
  launcher = await openTestLauncher({ kind: "exec" });
  zygote = await Zygote.open({ uidBase: 1_900_000, uidCount: 65_536 });
});
after(() => Promise.all([launcher.close(), zygote.close()]));

interface Way {
  /** What the program wrote, when everything of its sandbox is gone and its outputs have ended. */
  run: () => Promise<string>;
  /** What becomes of a descriptor that it sends over its outputs. */
  sent: string;
  /** What becomes of a filter of its own. */
  filter: string;
}

/** Linux 6.16 and newer refuse to queue descriptors for the worker. */
const OVER_SOCKETS = canRefuseDescriptors() ? "EPERM" : "done";

const WAYS: Record<string, Way> = {
  "in a sandbox of the exec launcher": {
    sent: OVER_SOCKETS,
    filter: "EPERM",
    run: async () => {
      const connections = [
        { name: "wire", fds: [3] },
        { name: "stdio", fds: [1, 2] },
      ];
      const sandbox = await launcher.start({ limits: LIMITS, connections, program: PROGRAM });
      const [written] = await Promise.all([text(sandbox.stdio), sandbox.exited]);
      return written;
    },
  },
  "in a build": {
    sent: OVER_SOCKETS,
    filter: "EPERM",
    run: async () => {
      const run = { program: PROGRAM, limits: LIMITS, timeoutMs: stretched(30_000), maxOutputBytes: 65_536 };
      return String((await runProgram(launcher, run)).stdout);
    },
  },
  "in a box with pipes": {
    sent: "ENOTSOCK",
    filter: "EINVAL",
    run: async () => String((await Box.run(zygote, BOX)).stdout),
  },
  "in a box with pipes, under the filter of programs": {
    sent: "ENOTSOCK",
    filter: "EPERM",
    run: async () => String((await Box.run(zygote, { ...BOX, policy: "program" })).stdout),
  },
  "in a box with a terminal": {
    sent: "ENOTSOCK",
    filter: "EINVAL",
    run: async () => {
      // A terminal takes a root of its own.
      const box = await Box.start(zygote, { ...BOX, root: "usr", terminal: { columns: 80, rows: 24 } });
      let shown = "";
      box.terminal?.output.on("data", (chunk) => {
        shown += chunk;
      });
      await box.ended;
      if (box.terminal) await finished(box.terminal.output).catch(() => undefined);
      return shown.replaceAll("\r\n", "\n");
    },
  },
};

describe("a hostile program", () => {
  for (const [name, way] of Object.entries(WAYS))
    test(`${name} finds every wall`, async () => {
      const lines = (await way.run()).split("\n").filter((line) => line !== "");
      const found = lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), line.slice(line.lastIndexOf(" ") + 1)]);
      const bytes = Number(found.find(([name]) => name === "bytes")?.[1]);
      assert.ok(bytes > 0 && bytes <= FIRST_BUFFER_BYTES, `${bytes} bytes`);
      assert.deepEqual(
        found.filter(([name]) => name !== "bytes"),
        expectedOf(way),
      );
    });
});

test("a box with more locks of files than anybody needs is ended, and its neighbour is not", async () => {
  const hoard = async (count: number) => {
    const box = await Box.start(zygote, { ...BOX, argv: [PLACE, "locks", String(count)] });
    await once(box.stdout, "data");
    return box;
  };
  const neighbour = await hoard(MOST_LOCKS / 2);
  const { outcome, overuse } = await (await hoard(MOST_LOCKS + 1)).ended;
  assert.deepEqual([outcome, overuse], ["killed", TOO_MANY_LOCKS]);
  assert.notEqual(neighbour.stats(), null);
  neighbour.kill();
  assert.equal((await neighbour.ended).overuse, undefined);
});

function expectedOf({ sent, filter }: Way): string[][] {
  return [
    ["descriptors", "0"],
    ["linger", "EINVAL"],
    ["send over 1", sent],
    ["send over 2", sent],
    ["pidfd of the holder", "EPERM"],
    ...Array.from({ length: 4 }, () => ["filter of a socket", "EPERM"]),
    ["filter of calls", filter],
    ["filter with a listener", filter],
    ["filter by prctl", "EPERM"],
    ["waiting", String(MOST_WAITING + 1)],
    ["size of a pipe", "EPERM"],
    ["signals to others", "EPERM"],
    ["a lease", "EPERM"],
    ["typing into a terminal", "EPERM"],
    ["a line discipline", "EPERM"],
    ["the console", "EPERM"],
    ["a device", "EPERM"],
    // Real locks are for commands alone: elsewhere those of open files are refused, too.
    ["lock of an open file", filter],
    ["shared descriptors", filter === "EINVAL" ? "EINVAL" : "done"],
    ["cycle", "done"],
  ];
}
