/** The outgoing connections of a call, as rows for people. */
import { formatBytes } from "../../../infra/std/bytes.ts";
import type { CallEgress, ConnectionRecord } from "../../model/record.ts";
import { table } from "./table.ts";

/** A line for each connection in aligned columns, and one that counts those beyond the record's. */
export function connectionLines({ connections, more }: CallEgress): string[] {
  const lines = table(connections.map(rowOf));
  return more === 0 ? lines : [...lines, `and ${more} more`];
}

function rowOf({ host, port, address = "", bytesUp, bytesDown, durationMs, verdict }: ConnectionRecord): string[] {
  const at = port === undefined ? host : `${host}:${port}`;
  return [
    at,
    address === host ? "" : address,
    `up ${formatBytes(bytesUp)}`,
    `down ${formatBytes(bytesDown)}`,
    `${durationMs.toFixed(1)} ms`,
    verdict === "kept" ? "kept (open still, counted until the call's end)" : verdict,
  ];
}
