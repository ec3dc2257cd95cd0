/**
 * The functions of `cases/`: each a directory as its user would have it, and `case.json`, which
 * says what must come of it.
 */
import { cpSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";

const CASES = join(import.meta.dirname, "cases");

/** A call over HTTP, or by an event, and its answer. */
export interface CaseCall {
  /** Below the function's URL, with the query. */
  path?: string;
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  /** Sent by `sandpiper invoke --event` instead of over HTTP. */
  event?: unknown;
  /** Status of the answer; 200 unless said. */
  status?: number;
  /** Exit code of a call by an event; if it is not 0, `json` may be a part of what is printed. */
  exit?: number;
  text?: string;
  json?: unknown;
  includes?: string;
  /** Header fields by lower-case name; several of one name are joined by ", ". */
  replyHeaders?: Record<string, string>;
}

export interface Case {
  name: string;
  about: string;
  /** A part of Sandpiper that the case needs and that is not there yet. */
  needs?: string;
  /** Texts that `deploy` says beside its result. */
  warns?: string[];
  /** `deploy` must end with this code and say these texts. */
  refused?: { exit: number; includes: string[] };
  calls?: CaseCall[];
}

/** All cases, by name. */
export function readCases(): Case[] {
  return readdirSync(CASES).map((name) => ({
    name,
    ...(JSON.parse(readFileSync(join(CASES, name, "case.json"), "utf8")) as Omit<Case, "name">),
  }));
}

/** Puts the function's files into a new directory, outside of any checkout, as they would be. */
export function copyFiles({ name }: Case, directory: string): void {
  cpSync(join(CASES, name), directory, { recursive: true, filter: (path) => basename(path) !== "case.json" });
}
