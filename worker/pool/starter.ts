/** Starting one more instance of a version: by a fork of its template, in a blank sandbox, or in one that is made now. */
import type { Version } from "../../functions/model/version.ts";
import type { ForkableSandbox } from "../../sandbox-core/index.ts";
import type { Instance } from "../instance/instance.ts";
import { isSlow } from "../instance/template.ts";
import type { PoolOptions } from "./options.ts";
import type { Box, Boxes } from "./places.ts";
import { Loaded } from "./pooled-instance.ts";
import type { Shelf } from "./pooled-version.ts";
import type { Blanks } from "./prewarmed.ts";
import { Parent } from "./template-place.ts";
import type { Demand } from "./waiting-call.ts";
import { type Origin, originOf } from "./zygote-key.ts";

/** How an instance is to be started. A place is taken for it. */
export type Way = { by: "fork"; parent: Parent } | { by: "load"; blank: Box<ForkableSandbox> | undefined };

export interface StarterOptions {
  pool: PoolOptions;
  boxes: Boxes;
  blanks: Blanks;
}

export class Starter {
  readonly #pool: PoolOptions;
  readonly #boxes: Boxes;
  readonly #blanks: Blanks;

  constructor({ pool, boxes, blanks }: StarterOptions) {
    this.#pool = pool;
    this.#boxes = boxes;
    this.#blanks = blanks;
  }

  /** Takes a place for an instance of that version; null when there is none. Whoever gets a way must `start` by it. */
  reserve(shelf: Shelf, version: Version): Way | null {
    const parent = [...shelf.parents].find(({ usable }) => usable);
    const blank = parent === undefined ? this.#blanks.take(this.#originOf(version)) : undefined;
    if (blank === undefined && !this.#boxes.reserve(version.config.memoryMiB)) return null;
    if (parent === undefined) return { by: "load", blank };
    parent.instances += 1;
    return { by: "fork", parent };
  }

  /** @throws what `load` throws, or a launch */
  start(shelf: Shelf, demand: Demand, way: Way): Promise<Loaded> {
    return way.by === "fork" ? this.#fork(shelf, demand, way.parent) : this.#load(shelf, demand, way.blank);
  }

  async #load(shelf: Shelf, demand: Demand, blank: Box<ForkableSandbox> | undefined): Promise<Loaded> {
    const origin = this.#originOf(demand.version);
    const beganAtMs = performance.now();
    const box = blank ?? (await this.#boxes.open(origin));
    this.#blanks.use(origin);
    const launchedAtMs = performance.now();
    try {
      const instance = await this.#pool.load(box.sandbox, demand);
      const parent = await this.#makeParent(box, instance, demand);
      if (parent !== null) shelf.parents.add(parent);
      const loaded = parent === null ? { box, instance } : await this.#forkBox(parent, demand);
      const kind = blank === undefined ? "cold" : "prewarmed";
      const times = { sandboxMs: launchedAtMs - beganAtMs, initMs: performance.now() - launchedAtMs };
      return new Loaded(shelf.key, loaded.box, loaded.instance, { kind, ...times, loadedAtMs: Date.now() }, parent);
    } catch (error) {
      this.#boxes.end(box, "the version could not be loaded");
      throw error;
    }
  }

  /** A template of an instance that was slow to load, with a place for one fork; null when that cannot be had. */
  async #makeParent(box: Box, loaded: Instance, demand: Demand): Promise<Parent | null> {
    const { memoryMiB } = demand.version.config;
    if (!isSlow(loaded) || loaded.servesOnce || !this.#boxes.reserve(memoryMiB)) return null;
    try {
      const template = await this.#pool.makeTemplate(loaded, demand);
      if (template !== null) {
        const parent = new Parent(box, template);
        parent.instances = 1;
        return parent;
      }
    } catch (error) {
      this.#boxes.giveBack(memoryMiB);
      throw error;
    }
    this.#boxes.giveBack(memoryMiB);
    return null;
  }

  async #fork(shelf: Shelf, demand: Demand, parent: Parent): Promise<Loaded> {
    const beganAtMs = performance.now();
    const { box, instance } = await this.#forkBox(parent, demand);
    const sandboxMs = performance.now() - beganAtMs;
    return new Loaded(shelf.key, box, instance, { kind: "forked", sandboxMs, initMs: 0, loadedAtMs: 0 }, parent);
  }

  /** A fork in the place that was taken for it. */
  async #forkBox(parent: Parent, { log }: Demand): Promise<{ box: Box; instance: Instance }> {
    let instance: Instance | undefined;
    try {
      const box = await this.#boxes.adopt(parent.box.origin, async () => {
        instance = await parent.template.beside(log);
        return instance.sandbox;
      });
      return { box, instance: instance as unknown as Instance };
    } catch (error) {
      parent.left();
      throw error;
    }
  }

  #originOf({ tenant, config }: Version): Origin {
    return originOf(this.#pool.zygotes, tenant, config.memoryMiB);
  }
}
