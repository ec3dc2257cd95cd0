/** A template in its place: what further instances of a version are forked from. */

import { MOST_FORK_SLOTS } from "../../sandbox-core/index.ts";
import type { Template } from "../instance/template.ts";
import type { Place } from "./places.ts";

export class TemplatePlace {
  readonly place: Place;
  readonly template: Template;
  /** When the last instance of it ended, by `performance.now()`. */
  freeSinceMs = performance.now();
  /** Instances of it that are on their way, or there. */
  instances = 0;

  constructor(place: Place, template: Template) {
    this.place = place;
    this.template = template;
  }

  /** Whether no further instance comes of it: its zygote makes way, or it does. */
  get isOutdated(): boolean {
    return this.place.sandbox.outdated || this.template.isOutdated;
  }

  /** Whether one more instance may come of it. */
  get usable(): boolean {
    return !this.place.ending && !this.isOutdated && this.instances < MOST_FORK_SLOTS;
  }

  /** Whether nobody needs it now: all instances of it have ended. */
  get isFree(): boolean {
    return this.instances === 0;
  }

  left(): void {
    this.instances -= 1;
    this.freeSinceMs = performance.now();
  }
}
