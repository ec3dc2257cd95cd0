/** Aliases: names of a function that can be moved from version to version. */
import type { CanaryWatch, WatchFigures } from "./canary.ts";

/** The alias that a function's URL calls. */
export const LIVE = "live";

/** Most aliases of a function. */
export const MAX_ALIASES = 32;

/** Most entries of a function's history; the oldest make way. */
export const MAX_HISTORY = 200;

/** Hex digits of a version by which URLs and people name it. */
export const SHORT_VERSION_LENGTH = 12;
/** As few as may name a version. */
const FEWEST_DIGITS = 6;

/** Stands between an alias or version and the function in a preview's name. */
export const PREVIEW_SEPARATOR = "--";

/** Longest text that says why something was deployed or moved. */
export const MAX_MESSAGE_LENGTH = 500;

/** One version that an alias names, and how many of a hundred calls go to it. */
export interface AliasRoute {
  version: string;
  percent: number;
}

/** Where the value stands that decides which of two versions a caller gets, the same each time. */
export type Sticky = { header: string } | { cookie: string };

/** The target of an alias: one version, or two whose shares are 100 together. */
export interface AliasTarget {
  routes: AliasRoute[];
  sticky: Sticky | null;
  /** Has the second version promoted or taken back by its figures. */
  auto?: CanaryWatch | undefined;
}

/** An alias as it is now. */
export interface Alias extends AliasTarget {
  alias: string;
  /** Changes with each move; opaque. */
  revision: string;
}

/** Acts that move an alias. */
export const MOVES = ["deploy", "set", "delete", "rollback", "promote", "auto-promote", "auto-rollback"] as const;
/** Name of the platform in a history. */
export const PLATFORM = "sandpiper";
export type MoveKind = (typeof MOVES)[number];

/** One act in a function's history. */
export interface HistoryEntry {
  /** Unix time in milliseconds. */
  atMs: number;
  /** Id of the API key, or `sandpiper` for what the platform did by itself. */
  by: string;
  kind: MoveKind;
  alias: string;
  /** The target from then on; null: the alias is gone. */
  after: AliasTarget | null;
  /** The target until then; null: there was no such alias. */
  before: AliasTarget | null;
  message: string | null;
  tag: string | null;
  /** The figures that decided, of what the platform did by itself. */
  figures?: WatchFigures;
}

const ALIAS_PATTERN = /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/;
const VERSION_DIGITS = new RegExp(`^[0-9a-f]{${FEWEST_DIGITS},64}$`);
const TAG_PATTERN = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$/;
/** A token of RFC 9110, section 5.6.2, in lower case. */
const FIELD_PATTERN = /^[!#$%&'*+.^_`|~0-9a-z-]{1,64}$/;

/** The fault of an alias's name as the end of a sentence, or null. */
export function aliasProblem(name: string): string | null {
  if (!ALIAS_PATTERN.test(name)) return "1 to 32 of a-z, 0-9 and '-', neither first nor last a '-'";
  if (name.includes(PREVIEW_SEPARATOR)) return "two '-' side by side stand between alias and function in URLs";
  return VERSION_DIGITS.test(name) ? "a name of hex digits alone would be a version's" : null;
}

/** Whether a text can name a version: by its first digits, or by its tag. */
export function isVersionName(text: string): boolean {
  return VERSION_DIGITS.test(text) || TAG_PATTERN.test(text);
}

/** The fault of a tag as the end of a sentence, or null. */
export function tagProblem(tag: string): string | null {
  if (!TAG_PATTERN.test(tag)) return "1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-', with a letter or digit at both ends";
  return VERSION_DIGITS.test(tag) ? "a tag of hex digits alone would be a version's" : null;
}

/** Whether a text can be the name of a header field or a cookie, in lower case or not. */
export function isFieldName(text: string): boolean {
  return FIELD_PATTERN.test(text.toLowerCase());
}

/** The fault of a target's routes as a sentence, or null. */
export function routesProblem(routes: readonly AliasRoute[]): string | null {
  if (routes.length === 0 || routes.length > 2) return "an alias names one version, or two";
  const isShare = ({ percent }: AliasRoute) => Number.isInteger(percent) && percent >= 1 && percent <= 100;
  if (!routes.every(isShare)) return "each share is a whole number of percent, from 1 to 100";
  const sum = routes.reduce((total, { percent }) => total + percent, 0);
  if (sum !== 100) return `the shares are ${sum} percent together, and have to be 100`;
  return routes.length === 2 && routes[0]?.version === routes[1]?.version ? "the two versions are the same" : null;
}

/** The first digits of a version, by which people and URLs name it. */
export function shortVersion(version: string): string {
  return version.slice(0, SHORT_VERSION_LENGTH);
}

/** Name of a preview in URLs: `<alias or version>--<function>`. */
export function previewName(name: string, functionName: string): string {
  return `${name}${PREVIEW_SEPARATOR}${functionName}`;
}

/** The parts of a preview's name, or null when it has not the form of one. */
export function splitPreviewName(text: string): { name: string; functionName: string } | null {
  const at = text.indexOf(PREVIEW_SEPARATOR);
  if (at <= 0) return null;
  const [name, functionName] = [text.slice(0, at), text.slice(at + PREVIEW_SEPARATOR.length)];
  const isName = aliasProblem(name) === null || VERSION_DIGITS.test(name);
  return isName && functionName !== "" ? { name, functionName } : null;
}

/** Whether a name is digits of a version, and no alias's or tag's. */
export function isVersionDigits(name: string): boolean {
  return VERSION_DIGITS.test(name);
}

/** The version that an alias names alone, or for the larger part of the time before another. */
export function baseOf({ routes }: AliasTarget): string {
  return routes[0]?.version ?? "";
}

/** A target that is one version. */
export function wholly(version: string): AliasTarget {
  return { routes: [{ version, percent: 100 }], sticky: null };
}
