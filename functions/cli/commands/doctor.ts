/**
 * `sandpiper doctor`: what this machine offers for isolation, line by line, and what is missing.
 */
import type { Command } from "commander";
import { escapeLine } from "../../../infra/std/escape.ts";
import type { ConnectionOptions } from "../client/connection.ts";
import { optionsOf } from "../client/of-command.ts";
import type { AddCommand, SetExitCode } from "../command.ts";
import { EXIT_CODES } from "../failure.ts";
import { type Io, isUtf8, printJson, styled } from "../io.ts";
import type { Check } from "../machine.ts";

const GATEWAY_WAIT_MS = 5_000;

export function addDoctor(add: AddCommand, io: Io, setExitCode: SetExitCode): void {
  add([
    "sudo sandpiper doctor",
    "sandpiper doctor --json | jq '.sections[].checks[] | select(.ok | not)'",
    "sudo sandpiper doctor --attest --json | jq .posture",
  ])
    .option("--attest", "make a sandbox, check every wall of it from outside and inside, and show what it is")
    .action((options: { attest?: boolean }, command: Command) =>
      options.attest ? attest(io, command, setExitCode) : doctor(io, command, setExitCode),
    );
}

/** Shows each wall of a sandbox that is made for it, and then the sandbox's posture. */
async function attest(io: Io, command: Command, setExitCode: SetExitCode): Promise<void> {
  const { attestation } = await import("../machine.ts");
  const found = await attestation(io);
  if (!found.ok) setExitCode(EXIT_CODES.internal.code);
  if (optionsOf(command).json) return printJson(io, found);
  const walls = found.walls.map(
    ({ name, flaw, allowed, without, fix }): Check => ({
      name,
      ok: flaw === null || allowed,
      detail: flaw === null ? "stands" : allowed ? `degraded, as is allowed: ${flaw}` : `${flaw}: ${without}`,
      fix,
    }),
  );
  const posture = Object.entries(found.posture).map(
    ([name, value]): Check => ({ name, ok: true, detail: JSON.stringify(value) }),
  );
  io.stdout.write(describe(io, { title: "walls", checks: walls }));
  io.stdout.write(describe(io, { title: "posture", checks: posture }));
}

interface Section {
  title: string;
  checks: Check[];
}

async function doctor(io: Io, command: Command, setExitCode: SetExitCode): Promise<void> {
  const { installationChecks, isolationChecks } = await import("../machine.ts");
  const options = optionsOf(command);
  const sections: Section[] = [
    { title: "installation", checks: installationChecks(io) },
    { title: "isolation", checks: await isolationChecks(io) },
    { title: "gateway", checks: await connectionChecks(io, options) },
  ];
  const ok = sections.every(({ checks }) => checks.every((check) => check.ok));
  if (!ok) setExitCode(EXIT_CODES.internal.code);
  if (options.json) printJson(io, { ok, sections });
  else for (const section of sections) io.stdout.write(describe(io, section));
}

async function connectionChecks(io: Io, options: ConnectionOptions): Promise<Check[]> {
  const { failedCheck, gatewayCheck } = await import("../machine.ts");
  const { findConnection } = await import("../client/connection.ts");
  const { Gateway } = await import("../client/gateway.ts");
  try {
    const connection = await findConnection(io, options);
    const signal = AbortSignal.any([io.interrupted, AbortSignal.timeout(GATEWAY_WAIT_MS)]);
    const ready = await gatewayCheck(connection.url, signal);
    if (!ready.ok) return [ready];
    const key = await new Gateway(connection, signal).whoami().then(
      ({ tenant, keyId }) => ({
        name: "api key",
        ok: true,
        detail: `${keyId} of tenant ${tenant}, from ${connection.source}`,
      }),
      (error: unknown) => failedCheck("api key", error),
    );
    return [ready, key];
  } catch (error) {
    return [failedCheck("gateway", error)];
  }
}

function describe(io: Io, { title, checks }: Section): string {
  const [good, bad] = isUtf8(io.env) ? ["✓", "✗"] : ["ok", "NO"];
  const names = Math.max(...checks.map(({ name }) => name.length));
  const lines = checks.flatMap(({ name, ok, detail, fix }) => {
    const mark = ok ? styled(io.stdout, "green", good.padEnd(2)) : styled(io.stdout, "red", bad.padEnd(2));
    const line = `  ${mark} ${escapeLine(name).padEnd(names)}  ${escapeLine(detail)}`;
    return ok || !fix ? [line] : [line, `     ${" ".repeat(names)}  -> ${escapeLine(fix)}`];
  });
  return `${styled(io.stdout, "bold", title)}\n${lines.join("\n")}\n`;
}
