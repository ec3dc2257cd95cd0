/** `sandpiper calls show`: how one call ended, whoever ended it. */
import type { Command } from "commander";
import { formatBytes } from "../../../infra/std/bytes.ts";
import { escapeLine } from "../../../infra/std/escape.ts";
import type { InvocationRecord } from "../../model/record.ts";
import { gatewayOf, optionsOf } from "../client/of-command.ts";
import type { AddCommand } from "../command.ts";
import { type Io, printJson, styled } from "../io.ts";
import { connectionLines } from "../show/connections.ts";

export function addCalls(add: AddCommand, io: Io): void {
  const command = add([
    "sandpiper calls show 0b5c2c1e-8a0f-4c55-9d0c-3b8f6f2f9a10    (x-request-id of the answer)",
    "sandpiper calls show 0b5c2c1e-8a0f-4c55-9d0c-3b8f6f2f9a10 --json",
  ]);
  command.registeredArguments[0]?.choices(["show"]);
  command.action((_show: string, id: string, _options, command: Command) => show(io, id, command));
}

async function show(io: Io, id: string, command: Command): Promise<void> {
  const record = await (await gatewayOf(io, command)).call(id.trim().toLowerCase());
  if (optionsOf(command).json) return printJson(io, record);
  io.stdout.write(describe(io, record));
}

const RAN = {
  yes: "yes",
  no: "no",
  unknown: "unknown: it was on its way to a worker, or at one that is gone",
} as const;

function describe(io: Io, record: InvocationRecord): string {
  const { id, functionName, version, outcome, error, status, ran, start, timing, traceId } = record;
  const facts: [string, string | undefined][] = [
    ["call", id],
    ["function", `${record.tenant}/${functionName}`],
    ["version", version || undefined],
    ["outcome", outcome],
    ["error", error && `${error.code}: ${error.message}`],
    ["status", status === 0 ? undefined : String(status)],
    ["ran", ran && RAN[ran]],
    ["began", new Date(record.startedAtMs).toISOString()],
    ["ended", new Date(record.endedAtMs).toISOString()],
    ["start", start],
    ["time", Object.entries(timing).map(timeOf).join(", ")],
    ["use", start && `processor ${record.cpuMs.toFixed(1)} ms, memory ${formatBytes(record.peakMemoryBytes)}`],
    ["trace", traceId],
    ["log", ran === "no" ? undefined : `sandpiper logs ${functionName} --invocation ${id}`],
    ...connectionFacts(record),
  ];
  return facts
    .filter((fact): fact is [string, string] => fact[1] !== undefined)
    .map(([name, value]) => `${styled(io.stdout, "bold", name.padEnd(9))} ${escapeLine(value)}\n`)
    .join("");
}

/** The first connection beside the name, the others below it. */
function connectionFacts({ egress }: InvocationRecord): [string, string][] {
  if (egress === undefined) return [];
  return connectionLines(egress).map((line, index) => [index === 0 ? "egress" : "", line]);
}

/** "queueMs", 1.25 as "queue 1.3 ms". */
function timeOf([name, ms]: [name: string, ms: number]): string {
  return `${name.replace(/Ms$/, "")} ${ms.toFixed(1)} ms`;
}
