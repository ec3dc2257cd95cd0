/**
 * The records of a backup in keys of Redis that nothing reads, until all are there and one script
 * gives them their names.
 */
import type { ChainableCommander, Redis } from "ioredis";
import type { AliasTarget } from "../../model/alias.ts";
import type { BackupRecord } from "../../model/backup/contents.ts";
import { CANARIES, newWatch } from "../canaries.ts";
import { functionKey, functionsKey, secretScopesKey } from "../function-keys.ts";
import { indexOf, TENANTS } from "../tenant.ts";
import { STOPS } from "../tenant-states.ts";
import { isLater } from "./check.ts";
import { keyOfPart, type Part } from "./parts.ts";
import type { Standing } from "./standing.ts";

/** Names of staged keys, each with the time in Unix milliseconds at which it goes, or 0. */
export const stagedNames = (restore: string): string => `sp:restoring:${restore}:names`;
/** Names of keys that go. */
export const replacedNames = (restore: string): string => `sp:restoring:${restore}:replaced`;
/** Beginning of a staged key, before the name that it is to have. */
export const stagedPrefix = (restore: string): string => `sp:restoring:${restore}:`;

/** Leftovers of a restore that broke off go by themselves. */
const STAGED_MS = 24 * 3_600_000;
/** Commands and characters that are sent together. */
const MOST_COMMANDS = 500;
const MOST_LENGTH = 1_000_000;

export class Staging {
  readonly #redis: Redis;
  readonly #restore: string;
  readonly #standing: Standing;
  readonly #known = new Set<string>();
  /** Entries of streams that stay, by key, which are put between those of the file. */
  readonly #streams = new Map<string, [id: string, text: string][]>();
  /** Staged keys that have no end yet. */
  readonly #fresh: string[] = [];
  #pipeline: ChainableCommander;
  #length = 0;

  constructor(redis: Redis, restore: string, standing: Standing) {
    this.#redis = redis;
    this.#restore = restore;
    this.#standing = standing;
    this.#pipeline = redis.pipeline();
  }

  /** The names that keys get. */
  get names(): ReadonlySet<string> {
    return this.#known;
  }

  /** Stages a record that was checked. */
  async add(part: Part, record: BackupRecord): Promise<void> {
    const { tenant, name, expiresAtMs = 0 } = record;
    const entries = this.#standing.kept(part, record);
    if (entries.length === 0) return;
    const key = keyOfPart(part, tenant, name);
    if (part.part === "usage" && (await this.#redis.exists(key)) === 1) return;
    if (part.kind === "stream") await this.#stream(key, entries);
    else this.#write(part, this.#staged(key, expiresAtMs), tenant ?? "", entries);
    if (part.part === "function") this.#function(tenant ?? "", name ?? "", entries);
    if (part.part === "function-secrets") this.#put("sadd", secretScopesKey(tenant ?? ""), [name ?? ""]);
    await this.#sendWhenMuch();
  }

  /** Adds what stays of what was there. */
  async finish(): Promise<void> {
    for (const [key, entries] of this.#streams) this.#entries(this.#staged(key), entries);
    for (const [tenant, text] of Object.entries(this.#standing.operatorTenants)) {
      this.#pipeline.hsetnx(this.#staged(TENANTS), tenant, text);
    }
    for (const [tenant, uses] of Object.entries(this.#standing.operatorKeyUses)) {
      this.#put("hset", indexOf(tenant), Object.entries(uses).flat());
    }
    for (const [tenant, text] of Object.entries(this.#standing.stops)) {
      this.#pipeline.hsetnx(this.#staged(STOPS), tenant, text);
    }
    await this.#send();
  }

  #write({ kind }: Part, staged: string, tenant: string, entries: string[][]): void {
    const pipeline = this.#pipeline;
    if (kind === "hash" || kind === "fields") pipeline.hset(staged, ...entries.flat());
    else if (kind === "list") pipeline.rpush(staged, ...entries.flat());
    else if (kind === "string") pipeline.set(staged, entries[0]?.[0] ?? "");
    else pipeline.hset(staged, tenant, entries[0]?.[0] ?? "");
    for (const entry of entries) for (const text of entry) this.#length += text.length;
  }

  /** A function is in its tenant's list, and canaries that watch themselves begin anew. */
  #function(tenant: string, name: string, entries: string[][]): void {
    this.#put("sadd", functionsKey(tenant), [name]);
    const fields = new Map(entries as [string, string][]);
    for (const [field, text] of fields) {
      const alias = field.startsWith("alias:") ? field.slice("alias:".length) : null;
      const { auto } = alias === null ? {} : (JSON.parse(text) as AliasTarget);
      if (alias === null || !auto) continue;
      const startedAtMs = Date.now();
      const revision = fields.get(`revision:${alias}`) ?? "0";
      const watch = [`watch:${alias}`, newWatch(revision, startedAtMs)];
      this.#put("hset", functionKey({ tenant, functionName: name }), watch);
      this.#pipeline.zadd(this.#staged(CANARIES), startedAtMs + auto.windowMs, `${tenant}/${name}/${alias}`);
    }
  }

  async #stream(key: string, entries: string[][]): Promise<void> {
    let staying = this.#streams.get(key);
    if (staying === undefined) {
      const there = await this.#redis.xrange(key, "-", "+");
      staying = there.map(([id, [, text = ""]]): [string, string] => [id, text]);
      this.#streams.set(key, staying);
    }
    const staged = this.#staged(key);
    for (const [id = "", text = ""] of entries) {
      const later = staying.findIndex(([other]) => !isLater(id, other));
      const before = staying.splice(0, later === -1 ? staying.length : later);
      this.#entries(staged, before);
      // The same act, where the backup was made here.
      if (staying[0]?.[0] === id) staying.shift();
      this.#entries(staged, [[id, text]]);
      await this.#sendWhenMuch();
    }
  }

  #entries(staged: string, entries: readonly [string, string][]): void {
    for (const [id, text] of entries) this.#pipeline.xadd(staged, id, "e", text);
  }

  #put(command: "sadd" | "hset", key: string, words: string[]): void {
    const staged = this.#staged(key);
    if (command === "sadd") this.#pipeline.sadd(staged, ...words);
    else this.#pipeline.hset(staged, ...words);
  }

  /** The staged name of a key, which is noted when it is new. */
  #staged(key: string, expiresAtMs = 0): string {
    if (!this.#known.has(key)) {
      this.#known.add(key);
      this.#fresh.push(stagedPrefix(this.#restore) + key);
      this.#pipeline.rpush(stagedNames(this.#restore), `${key} ${expiresAtMs}`);
    }
    return stagedPrefix(this.#restore) + key;
  }

  async #sendWhenMuch(): Promise<void> {
    if (this.#pipeline.length >= MOST_COMMANDS || this.#length >= MOST_LENGTH) await this.#send();
  }

  async #send(): Promise<void> {
    // Behind what makes them.
    for (const staged of this.#fresh.splice(0)) this.#pipeline.pexpire(staged, STAGED_MS);
    this.#pipeline.pexpire(stagedNames(this.#restore), STAGED_MS);
    const answers = (await this.#pipeline.exec()) ?? [];
    const failed = answers.find(([error]) => error);
    if (failed?.[0]) throw failed[0];
    [this.#pipeline, this.#length] = [this.#redis.pipeline(), 0];
  }
}
