/** Aliases and their moves in words, and the words of the command line that name them. */
import { escapeLine } from "../../../infra/std/escape.ts";
import type { HistoryInfo } from "../../api/versions.ts";
import { type AliasRoute, type AliasTarget, type Sticky, shortVersion } from "../../model/alias.ts";
import { CliError } from "../failure.ts";

/** The versions of an alias: "8f14e45fceea 90%, c9f0f895fb98 10%". */
export function routesText(routes: readonly AliasRoute[]): string {
  return routes
    .map(({ version, percent }) => escapeLine(shortVersion(version)) + (percent === 100 ? "" : ` ${percent}%`))
    .join(", ");
}

/** The end of a move of `live`. */
export function movedText(functionName: string, routes: readonly AliasRoute[]): string {
  return `${escapeLine(functionName)} runs ${routesText(routes)}`;
}

/** One act of a function's history on one line. */
export function historyText({ at, by, kind, alias, before, after, message, tag }: HistoryInfo): string {
  const text = (target: AliasTarget | null) => (target === null ? "nothing" : routesText(target.routes));
  const words = [tag === null ? "" : ` [${escapeLine(tag)}]`, message === null ? "" : ` "${escapeLine(message)}"`];
  return `${at}  ${by}  ${escapeLine(kind)} ${alias}: ${text(before)} -> ${text(after)}${words.join("")}`;
}

/**
 * A share of calls, as `10%` says. @throws CliError of kind `usage`
 */
export function percentOf(text: string): number {
  const percent = /^\d{1,3}%?$/.test(text) ? Number.parseInt(text, 10) : 0;
  if (percent >= 1 && percent <= 100) return percent;
  const hint = "whole percent from 1% to 100%, such as 10%";
  throw new CliError("usage", `${JSON.stringify(text)} is no share of calls`, { code: "USAGE", hint });
}

/**
 * The versions that words name, as `v1 v2=10%` do: one without a share has what the other leaves.
 * @throws CliError of kind `usage`
 */
export function routesOf(words: readonly string[]): AliasRoute[] {
  const routes = words.map((word) => {
    const at = word.indexOf("=");
    return at === -1
      ? { version: word, percent: null }
      : { version: word.slice(0, at), percent: percentOf(word.slice(at + 1)) };
  });
  const given = routes.reduce((sum, { percent }) => sum + (percent ?? 0), 0);
  const open = routes.filter(({ percent }) => percent === null).length;
  if (routes.length > 2) throw wrongShares("an alias names one version, or two");
  if (open > 1) throw wrongShares("of two versions one needs a share");
  if (given + open > 100 || (open === 0 && given !== 100)) {
    throw wrongShares(`the shares are ${given}% together, and have to be 100%`);
  }
  return routes.map(({ version, percent }) => ({ version, percent: percent ?? 100 - given }));
}

function wrongShares(message: string): CliError {
  return new CliError("usage", message, { code: "USAGE", hint: "such as: v1 v2=10%" });
}

/** `header:NAME` or `cookie:NAME`. @throws CliError of kind `usage` */
export function stickyOf(text: string | undefined): Sticky | null {
  if (text === undefined) return null;
  const [, kind, name = ""] = /^(header|cookie):(.+)$/.exec(text) ?? [];
  if (kind !== undefined) return kind === "header" ? { header: name } : { cookie: name };
  const hint = "--sticky header:x-user, or --sticky cookie:session";
  throw new CliError("usage", `${JSON.stringify(text)} says nothing to stick to`, { code: "USAGE", hint });
}
