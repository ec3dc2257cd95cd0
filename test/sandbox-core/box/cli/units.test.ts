/** How people write sizes, times and counts, and command lines. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { readOptions } from "../../../../sandbox-core/box/cli/arguments.ts";
import { noOptions, RUN_OPTIONS } from "../../../../sandbox-core/box/cli/run-options.ts";
import { parseBytes, parseCount, parseCpus, parseMs } from "../../../../sandbox-core/box/cli/units.ts";
import { UsageError } from "../../../../sandbox-core/box/cli/usage.ts";

test("sizes", () => {
  for (const [text, bytes] of [
    ["64m", 64 << 20],
    ["64M", 64 << 20],
    ["64MiB", 64 << 20],
    ["1.5g", 1.5 * 2 ** 30],
    ["512k", 512 << 10],
    ["4096", 4_096],
    ["10b", 10],
  ] as const)
    assert.equal(parseBytes(text), bytes, text);
  for (const text of ["64x", "", "m", "-1m", "0", "1e9", "1 2"])
    assert.throws(() => parseBytes(text), UsageError, text);
});

test("times, processors and counts", () => {
  assert.deepEqual(["500ms", "5s", "1.5s", "2m", "1h"].map(parseMs), [500, 5_000, 1_500, 120_000, 3_600_000]);
  for (const text of ["5", "0s", "s", "5d", "1000h"]) assert.throws(() => parseMs(text), UsageError, text);
  assert.deepEqual(["0.5", ".5", "2"].map(parseCpus), [0.5, 0.5, 2]);
  for (const text of ["0", "-1", "x", "0.001"]) assert.throws(() => parseCpus(text), UsageError, text);
  assert.equal(parseCount("2", 2), 2);
  for (const text of ["1", "2.5", "x"]) assert.throws(() => parseCount(text, 2), UsageError, text);
});

test("options end where the command begins", () => {
  const read = (...words: string[]) => {
    const options = noOptions();
    return { rest: readOptions(words, RUN_OPTIONS, options), options };
  };
  assert.deepEqual(read("ls", "-l").rest, ["ls", "-l"]);
  assert.deepEqual(read("--json", "--", "--json").rest, ["--json"]);
  const { rest, options } = read(
    "--memory=64m",
    "-e",
    "A=b=c",
    "-v",
    "/a:/b:ro",
    "--bind",
    "x:/y",
    "-t",
    "ls",
    "--json",
  );
  assert.deepEqual(rest, ["ls", "--json"]);
  assert.deepEqual(
    [options.limits.memoryBytes, options.env, options.terminal, options.json],
    [64 << 20, { A: "b=c" }, true, false],
  );
  assert.deepEqual(options.binds, [
    { source: "/a", target: "/b", readOnly: true },
    { source: "x", target: "/y", readOnly: false },
  ]);
  const together = read("-im64m", "-te", "A=1", "-u0:0", "--", "-t");
  assert.deepEqual(together.rest, ["-t"]);
  assert.deepEqual(
    [together.options.limits.memoryBytes, together.options.env, together.options.terminal, together.options.user],
    [64 << 20, { A: "1" }, true, "0:0"],
  );
  assert.deepEqual(read("-it", "bash", "-c", "ls").rest, ["bash", "-c", "ls"]);
  assert.deepEqual(read("-t", "-", "-x").rest, ["-", "-x"]);
  for (const [words, message] of [
    [["-tx"], /no option -x/],
    [["-tm"], /-m lacks its value/],
    [["--mem", "1m"], /no option --mem/],
    [["--memory"], /lacks its value/],
    [["--json=1"], /takes no value/],
    [["--bind", "/a"], /no bind/],
    [["--bind", "/a:b"], /no bind/],
    [["--net", "bridge"], /no network "bridge"/],
    [["--env", "=x"], /no name/],
    [["--workdir", "x"], /relative/],
  ] as const)
    assert.throws(() => read(...words), message);
});
