/** The walls that a worker's sandboxes do without, as the configuration allows. */
import type { Attestation } from "../sandbox-core/index.ts";

interface DegradedWallsOptions {
  /** Names of the walls that may be missing. */
  allowed: readonly string[];
  onTrouble: (message: string) => void;
  /** Told of all that are missing, each time that there is one more. */
  onMore: (walls: readonly string[]) => void;
}

export class DegradedWalls {
  readonly #options: DegradedWallsOptions;
  readonly #missing = new Set<string>();

  constructor(options: DegradedWallsOptions) {
    this.#options = options;
  }

  get allowed(): readonly string[] {
    return this.#options.allowed;
  }

  /** Those that the sandboxes of some zygote lack. */
  get names(): string[] {
    return [...this.#missing];
  }

  note({ missing }: Attestation): void {
    const before = this.#missing.size;
    for (const { name, flaw } of missing) {
      if (!this.allowed.includes(name) || this.#missing.has(name)) continue;
      this.#missing.add(name);
      this.#options.onTrouble(`sandboxes do without a wall, as SANDPIPER_ALLOW_DEGRADED allows: ${name}: ${flaw}`);
    }
    if (this.#missing.size > before) this.#options.onMore(this.names);
  }
}
