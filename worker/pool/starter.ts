/**
 * Starting one more instance of a version: by a fork of its template, in a blank sandbox, or in one
 * that is made now.
 */
import type { Version } from "../../functions/model/version.ts";
import type { EgressSockets, ForkableSandbox } from "../../sandbox-core/index.ts";
import type { Instance } from "../instance/instance.ts";
import { isSlow } from "../instance/template.ts";
import type { PoolOptions } from "./options.ts";
import type { Place, Places } from "./places.ts";
import { PooledInstance } from "./pooled-instance.ts";
import type { PooledVersion } from "./pooled-version.ts";
import type { Prewarmed } from "./prewarmed.ts";
import { TemplatePlace } from "./template-place.ts";
import type { Demand } from "./waiting-call.ts";
import { type ZygoteKey, zygoteOf } from "./zygote-key.ts";

/** How an instance is to be started. A place is taken for it. */
export type Way =
  | { by: "fork"; templatePlace: TemplatePlace }
  | { by: "load"; blank: Place<ForkableSandbox> | undefined };

export interface StarterOptions {
  pool: PoolOptions;
  places: Places;
  prewarmed: Prewarmed;
}

export class Starter {
  readonly #pool: PoolOptions;
  readonly #places: Places;
  readonly #prewarmed: Prewarmed;

  constructor({ pool, places, prewarmed }: StarterOptions) {
    this.#pool = pool;
    this.#places = places;
    this.#prewarmed = prewarmed;
  }

  /**
   * Takes a place for an instance of that version; null when there is none. Whoever gets a way must
   * `start` by it.
   */
  reserve(pooledVersion: PooledVersion, version: Version): Way | null {
    const templatePlace = [...pooledVersion.templatePlaces].find(({ usable }) => usable);
    const blank = templatePlace === undefined ? this.#prewarmed.take(this.#zygoteOf(version)) : undefined;
    if (blank === undefined && !this.#places.reserve(version.config.memoryMiB)) return null;
    if (templatePlace === undefined) return { by: "load", blank };
    templatePlace.instances += 1;
    return { by: "fork", templatePlace };
  }

  /** @throws what `load` throws, or a launch */
  start(pooledVersion: PooledVersion, demand: Demand, way: Way): Promise<PooledInstance> {
    return way.by === "fork"
      ? this.#fork(pooledVersion, demand, way.templatePlace)
      : this.#load(pooledVersion, demand, way.blank);
  }

  async #load(
    pooledVersion: PooledVersion,
    demand: Demand,
    blank: Place<ForkableSandbox> | undefined,
  ): Promise<PooledInstance> {
    const zygote = this.#zygoteOf(demand.version);
    const beganAtMs = performance.now();
    const place = blank ?? (await this.#places.open(zygote, () => this.#egressOf(demand)));
    this.#prewarmed.use(zygote);
    const launchedAtMs = performance.now();
    try {
      const instance = await this.#pool.load(place.sandbox, demand);
      const templatePlace = await this.#makeTemplatePlace(place, instance, demand);
      if (templatePlace !== null) pooledVersion.templatePlaces.add(templatePlace);
      const pooled = templatePlace === null ? { place, instance } : await this.#forkPlace(templatePlace, demand);
      const kind = blank === undefined ? "cold" : "prewarmed";
      const times = { sandboxMs: launchedAtMs - beganAtMs, initMs: performance.now() - launchedAtMs };
      return new PooledInstance(
        pooledVersion.key,
        pooled.place,
        pooled.instance,
        { kind, ...times, loadedAtMs: Date.now() },
        templatePlace,
      );
    } catch (error) {
      this.#places.end(place, "the version could not be loaded");
      throw error;
    }
  }

  /**
   * A template of an instance that was slow to load, with a place for one fork; null when that
   * cannot be had.
   */
  async #makeTemplatePlace(place: Place, pooled: Instance, demand: Demand): Promise<TemplatePlace | null> {
    const { memoryMiB } = demand.version.config;
    if (!isSlow(pooled) || pooled.servesOnce || !this.#places.reserve(memoryMiB)) return null;
    try {
      const template = await this.#pool.makeTemplate(pooled, demand);
      if (template !== null) {
        const templatePlace = new TemplatePlace(place, template);
        templatePlace.instances = 1;
        return templatePlace;
      }
    } catch (error) {
      this.#places.giveBack(memoryMiB);
      throw error;
    }
    this.#places.giveBack(memoryMiB);
    return null;
  }

  async #fork(pooledVersion: PooledVersion, demand: Demand, templatePlace: TemplatePlace): Promise<PooledInstance> {
    const beganAtMs = performance.now();
    const { place, instance } = await this.#forkPlace(templatePlace, demand);
    const sandboxMs = performance.now() - beganAtMs;
    return new PooledInstance(
      pooledVersion.key,
      place,
      instance,
      { kind: "forked", sandboxMs, initMs: 0, loadedAtMs: 0 },
      templatePlace,
    );
  }

  /** A fork in the place that was taken for it. */
  async #forkPlace(templatePlace: TemplatePlace, { log }: Demand): Promise<{ place: Place; instance: Instance }> {
    let instance: Instance | undefined;
    try {
      const place = await this.#places.adopt(templatePlace.place.zygote, async () => {
        instance = await templatePlace.template.beside(log);
        return instance.sandbox;
      });
      return { place, instance: instance as unknown as Instance };
    } catch (error) {
      templatePlace.left();
      throw error;
    }
  }

  async #egressOf({ version }: Demand): Promise<EgressSockets | undefined> {
    return this.#pool.egressOf?.(version);
  }

  #zygoteOf({ tenant, config }: Version): ZygoteKey {
    return zygoteOf(this.#pool.zygoteSharing, tenant, config.memoryMiB);
  }
}
