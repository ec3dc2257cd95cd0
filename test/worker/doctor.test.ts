import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { resolve } from "node:path";
import { describe, it } from "node:test";
import { WALLS } from "../../sandbox-core/attest/walls.ts";
import type { MachineCheck } from "../../sandbox-core/host/machine.ts";

const DOCTOR = resolve(import.meta.dirname, "../../worker/doctor.ts");

interface Report {
  code: number;
  stdout: string;
}

function doctor(args: string[], uid?: number): Promise<Report> {
  return new Promise((done) => {
    const options = { cwd: "/", ...(uid !== undefined && { uid, gid: uid }) };
    const child = execFile(process.execPath, [DOCTOR, ...args], options, (_error, stdout) =>
      done({ code: child.exitCode ?? -1, stdout }),
    );
  });
}

const parse = ({ stdout }: Report) => JSON.parse(stdout) as { ok: boolean; checks: MachineCheck[] };

describe("the worker's doctor", () => {
  it("finds everything on a machine that runs these tests, and a sandbox behind all its walls", async () => {
    const report = await doctor(["--json"]);
    const { ok, checks } = parse(report);
    assert.deepEqual(
      checks.filter((check) => !check.ok),
      [],
    );
    assert.deepEqual([ok, report.code], [true, 0]);
    const names = checks.map(({ name }) => name);
    for (const name of ["root", "node", "namespace user", "cgroups", "seccomp", "landlock", "fork", "sandbox"]) {
      assert.ok(names.includes(name), name);
    }
    const sandbox = checks.find(({ name }) => name === "sandbox");
    assert.match(sandbox?.detail ?? "", /walls stand: user-namespace, .*capabilities, .*seccomp, .*memory-limit/);
  });

  it("attests a sandbox on demand: every wall, and its posture", async () => {
    const report = await doctor(["--attest", "--json"]);
    const { ok, degraded, walls, posture, fallback } = JSON.parse(report.stdout);
    assert.deepEqual([ok, degraded, fallback, report.code], [true, [], null, 0]);
    assert.deepEqual(
      walls.map(({ name, flaw }: { name: string; flaw: unknown }) => [name, flaw]),
      WALLS.map(({ name }) => [name, null]),
    );
    for (const part of [
      "namespaces",
      "capabilities",
      "seccomp",
      "landlock",
      "mounts",
      "cgroup",
      "descriptors",
      "attempts",
    ])
      assert.ok(part in posture, part);
  });

  it("says without root what to do, and fails", async () => {
    const report = await doctor(["--json"], 65_534);
    const { ok, checks } = parse(report);
    assert.deepEqual([ok, report.code], [false, 1]);
    assert.match(checks.find(({ name }) => name === "root")?.fix ?? "", /sudo/);
    for (const check of checks) assert.equal(check.fix === null, check.ok, check.name);
  });

  it("speaks to people by lines", async () => {
    const { stdout } = await doctor([], 65_534);
    assert.match(stdout, /^NO {2}root: .*\n {6}Run it as root/m);
    assert.match(stdout, /^ok {2}system: Linux/m);
  });
});
