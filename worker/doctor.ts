/**
 * `node worker/doctor.ts [--attest] [--json]`: what this machine offers for isolation; with
 * --attest the posture of a sandbox, wall by wall. Exits with 1 when something is missing.
 */
import { loadConfig } from "../infra/config.ts";
import { ConfigError } from "../infra/environment.ts";
import { badAllowances } from "../sandbox-core/attest/attest.ts";
import { report } from "../sandbox-core/attest/report.ts";
import { inspectMachine, type MachineCheck } from "../sandbox-core/host/machine.ts";
import { tryIsolation } from "../sandbox-core/host/trial.ts";

const { allowDegraded, uidCount, problem } = readSettings();
const asJson = process.argv.includes("--json");
process.exitCode = (await (process.argv.includes("--attest") ? attest() : inspect())) ? 0 : 1;

async function inspect(): Promise<boolean> {
  const checks = [...problem, ...(await inspectMachine(allowDegraded, uidCount))];
  const ok = checks.every((check) => check.ok);
  if (asJson) writeJson({ ok, checks });
  else
    for (const check of checks) {
      process.stdout.write(`${check.ok ? "ok" : "NO"}  ${check.name}: ${check.detail}\n`);
      if (check.fix !== null) process.stdout.write(`      ${check.fix}\n`);
    }
  return ok;
}

async function attest(): Promise<boolean> {
  if (process.getuid?.() !== 0) return fail("a sandbox can be made by root only: run it as root");
  const tried = await tryIsolation().catch((error: Error) => fail(error.message.split("\n")[0] as string));
  if (!tried) return false;
  const { attestation, fallback } = tried;
  const found = { ...report(attestation, allowDegraded), fallback };
  if (asJson) writeJson(found);
  else
    for (const { name, flaw, allowed } of found.walls)
      process.stdout.write(
        `${flaw === null ? "ok" : "NO"}  ${name}: ${flaw ?? "stands"}${allowed ? " (allowed)" : ""}\n`,
      );
  return found.ok;
}

function fail(message: string): false {
  process.stderr.write(`${message}\n`);
  return false;
}

/**
 * Settings of the configuration. A wrong configuration allows nothing, and is reported as a
 * problem.
 */
function readSettings(): { allowDegraded: readonly string[]; uidCount: number; problem: MachineCheck[] } {
  try {
    const { allowDegraded, uidCount } = loadConfig().worker;
    const [wrong] = badAllowances(allowDegraded);
    if (wrong !== undefined) throw new ConfigError([`SANDPIPER_ALLOW_DEGRADED: ${wrong}`]);
    return { allowDegraded, uidCount, problem: [] };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const detail = error.problems.join("; ");
    const fix = "Correct the variable: docs/CONFIGURATION.md.";
    return { allowDegraded: [], uidCount: 0, problem: [{ name: "configuration", ok: false, detail, fix }] };
  }
}

function writeJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
