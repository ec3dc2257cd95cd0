/** `node worker/doctor.ts [--json]`: what this machine offers for isolation. Exits with 1 when something is missing. */
import { inspectMachine } from "../sandbox-core/doctor.ts";

const checks = await inspectMachine();
const ok = checks.every((check) => check.ok);
if (process.argv.includes("--json")) process.stdout.write(`${JSON.stringify({ ok, checks })}\n`);
else
  for (const check of checks) {
    process.stdout.write(`${check.ok ? "ok" : "NO"}  ${check.name}: ${check.detail}\n`);
    if (check.fix !== null) process.stdout.write(`      ${check.fix}\n`);
  }
process.exitCode = ok ? 0 : 1;
