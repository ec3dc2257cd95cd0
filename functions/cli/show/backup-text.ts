/** A backup in words, for people. */
import { formatBytes } from "../../../infra/std/bytes.ts";
import { escapeLine } from "../../../infra/std/escape.ts";
import type { BackupSummary } from "../../model/backup/summary.ts";

const counted = (count: number, one: string, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

/** One line: how much there is. */
export function sizeLine({ tenants, versions, secrets, keys, artifacts, artifactBytes }: BackupSummary): string {
  const functions = Object.values(tenants).reduce((sum, names) => sum + names.length, 0);
  const files = `${counted(artifacts, "file")} (${formatBytes(artifactBytes)})`;
  return [
    `${counted(functions, "function")} of ${counted(Object.keys(tenants).length, "tenant")}`,
    counted(versions, "version"),
    counted(secrets, "secret"),
    counted(keys, "API key"),
    files,
  ].join(", ");
}

/** Facts for whoever keeps or restores the file, beside how much it has. */
export function warningsOf({ masterKeys, missing }: BackupSummary): string[] {
  const ids = masterKeys.join(", ");
  return [
    ...(masterKeys.length > 0 ? [`its secrets need the master key ${ids}, which is not in it`] : []),
    ...(missing > 0
      ? [`warning: ${counted(missing, "file")} of its functions lacked where it was made: deploy them again`]
      : []),
  ];
}

/** The functions, one a line. */
export function functionLines({ header, tenants }: BackupSummary): string[] {
  const made = `made ${header.createdAt} by Sandpiper ${header.sandpiper}, form ${header.form}`;
  const names = Object.entries(tenants).flatMap(([tenant, functions]) => functions.map((name) => `${tenant}/${name}`));
  return [made, ...names].map(escapeLine);
}
