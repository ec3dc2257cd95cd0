/** Versions and aliases of functions at a gateway. */
import { z } from "zod";
import {
  type AliasInfo,
  type AliasWish,
  aliasListSchema,
  aliasSchema,
  type HistoryInfo,
  historySchema,
  type Promotion,
  type Rollback,
  type VersionInfo,
  versionListSchema,
} from "../../api/versions.ts";
import type { HeaderPairs } from "../../model/invocation.ts";
import type { Gateway } from "./gateway.ts";

/** The versions of a function that are kept, the latest first. */
export async function listVersions(gateway: Gateway, name: string): Promise<VersionInfo[]> {
  return (await gateway.ask(versionListSchema, "GET", `${functionPath(name)}/versions`)).versions;
}

/** The moves of a function's aliases, the latest first. */
export async function readHistory(gateway: Gateway, name: string): Promise<HistoryInfo[]> {
  return (await gateway.ask(historySchema, "GET", `${functionPath(name)}/history`)).entries;
}

export async function listAliases(gateway: Gateway, name: string): Promise<AliasInfo[]> {
  return (await gateway.ask(aliasListSchema, "GET", `${functionPath(name)}/aliases`)).aliases;
}

/**
 * Moves an alias, or makes it. @param etag the one that it must have, if any.
 * @throws CliError PRECONDITION_FAILED, as the following do
 */
export function setAlias(
  gateway: Gateway,
  name: string,
  alias: string,
  wish: AliasWish,
  etag: string | undefined,
): Promise<AliasInfo> {
  return gateway.ask(aliasSchema, "PUT", aliasPath(name, alias), wish, ifMatch(etag));
}

export async function deleteAlias(gateway: Gateway, name: string, alias: string, etag: string | undefined) {
  await gateway.ask(z.null(), "DELETE", aliasPath(name, alias), undefined, ifMatch(etag));
}

/** Has another version be live. */
export function moveLive(
  gateway: Gateway,
  name: string,
  act: "rollback" | "promote",
  asked: Rollback | Promotion,
  etag: string | undefined,
): Promise<AliasInfo> {
  return gateway.ask(aliasSchema, "POST", `${functionPath(name)}/${act}`, asked, ifMatch(etag));
}

function ifMatch(etag: string | undefined): HeaderPairs {
  return etag === undefined ? [] : [["if-match", etag]];
}

function functionPath(name: string): string {
  return `/v1/functions/${encodeURIComponent(name)}`;
}

function aliasPath(name: string, alias: string): string {
  return `${functionPath(name)}/aliases/${encodeURIComponent(alias)}`;
}
