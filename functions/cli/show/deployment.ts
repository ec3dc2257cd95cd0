/** A deployment in words: its bundle, and what it changed. */
import { formatBytes } from "../../../infra/std/bytes.ts";
import { escapeLine } from "../../../infra/std/escape.ts";
import type { Deployed } from "../../api/schemas.ts";
import { styled } from "../io.ts";

/** Packages that are named; those behind them are a number. */
const MOST_NAMED = 5;

/** Whose code the bundle is; nothing where all of it is the function's own. */
export function contentsLines(contents: Deployed["contents"]): string[] {
  const packages = contents?.packages.filter(({ name }) => name !== null) ?? [];
  if (contents === null || packages.length === 0) return [];
  const own = contents.packages
    .filter(({ name }) => name === null)
    .map(({ bytes }) => `its own files ${formatBytes(bytes)}`);
  const named = packages
    .slice(0, MOST_NAMED)
    .map(({ name, bytes }) => `${escapeLine(name ?? "")} ${formatBytes(bytes)}`);
  const beyond = packages.slice(MOST_NAMED);
  const count = beyond.length + contents.others.count;
  const bytes = beyond.reduce((sum, share) => sum + share.bytes, contents.others.bytes);
  return [`bundle: ${[...own, ...named, ...(count > 0 ? [`${count} more ${formatBytes(bytes)}`] : [])].join(", ")}`];
}

/** The differences to the version that was live. */
export function changeLines(changes: Deployed["changes"], stream: NodeJS.WriteStream): string[] {
  if (changes === null) return [];
  const { since, files, config, env, packages, builtins } = changes;
  const counts = [
    [files.changed, "changed"],
    [files.added, "added"],
    [files.removed, "removed"],
  ].flatMap(([count, what]) => (count === 0 ? [] : [`${count} ${what}`]));
  const facts = [
    ...(counts.length > 0 ? [`files ${counts.join(", ")}`] : []),
    ...config,
    ...env.added.map((name) => `env +${name}`),
    ...env.removed.map((name) => `env -${name}`),
    ...(env.changed ? ["a value of env"] : []),
  ];
  const signs = (what: string, { added, removed }: { added: string[]; removed: string[] }) => [
    ...added.map((name) => `${what}: ${styled(stream, "green", "+")} ${escapeLine(name)}`),
    ...removed.map((name) => `${what}: ${styled(stream, "red", "-")} ${escapeLine(name)}`),
  ];
  const summary = facts.length > 0 ? [`changed since ${since.slice(0, 12)}: ${escapeLine(facts.join("; "))}`] : [];
  return [...summary, ...signs("package", packages), ...signs("imports", builtins)];
}
