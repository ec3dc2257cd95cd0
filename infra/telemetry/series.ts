/**
 * Series that whoever counts holds on to. prom-client looks a series up by its labels each time,
 * also of a child that has them: sorted, joined and hashed, they cost more than all else of a
 * count, and a call counts eight times. Here counting is an addition, and Prometheus's forms are
 * made when somebody scrapes.
 */
import { Counter, type CounterConfiguration, type Histogram, type Registry } from "prom-client";

type Labels = Record<string, string>;

export interface Observed {
  observe(value: number): void;
  /** Takes the series out of the figures. */
  remove(): void;
}

export class Counted {
  readonly labels: Labels;
  count = 0;
  /** How much of it prom-client knows. */
  told = 0;
  /** Takes the series out of the figures. */
  readonly remove: () => void;

  constructor(labels: Labels, forget: (series: Counted) => void) {
    this.labels = labels;
    this.remove = () => forget(this);
  }

  inc(by = 1): void {
    this.count += by;
  }
}

export interface SeriesOptions {
  name: string;
  help: string;
  registry: Registry;
}

class Buckets implements Observed {
  readonly labels: Labels;
  readonly bounds: readonly number[];
  /** How many values fell into each bucket and into no lower one; the last has no upper bound. */
  readonly counts: Float64Array;
  sum = 0;
  readonly remove: () => void;

  constructor(labels: Labels, bounds: readonly number[], all: Set<Buckets>) {
    this.labels = labels;
    this.bounds = bounds;
    this.remove = () => void all.delete(this);
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const { bounds, counts } = this;
    let at = 0;
    while (at < bounds.length && value > (bounds[at] as number)) at++;
    counts[at] = (counts[at] as number) + 1;
    this.sum += value;
  }
}

/** A histogram (https://prometheus.io/docs/concepts/metric_types/#histogram) of held series. */
export class SeriesHistogram {
  readonly name: string;
  readonly #help: string;
  readonly #bounds: readonly number[];
  readonly #series = new Set<Buckets>();

  /** @param buckets upper bounds, each included in its bucket, in rising order */
  constructor({ name, help, registry, buckets }: SeriesOptions & { buckets: readonly number[] }) {
    this.name = name;
    this.#help = help;
    this.#bounds = buckets;
    // The registry asks a metric for `name` and `get` alone.
    registry.registerMetric(this as unknown as Histogram);
  }

  /** One more series; ask once for each set of labels. */
  series(labels: Labels = {}): Observed {
    const series = new Buckets(labels, this.#bounds, this.#series);
    this.#series.add(series);
    return series;
  }

  /** As prom-client's own metrics give it. */
  async get() {
    return {
      name: this.name,
      help: this.#help,
      type: "histogram",
      values: [...this.#series].flatMap((one) => this.#of(one)),
    };
  }

  #of({ labels, counts, sum }: Buckets) {
    let count = 0;
    const buckets = [...this.#bounds, "+Inf"].map((le, at) => {
      count += counts[at] as number;
      return { metricName: `${this.name}_bucket`, labels: { le, ...labels }, value: count };
    });
    const total = (what: string, value: number) => ({ metricName: `${this.name}_${what}`, labels, value });
    return [...buckets, total("sum", sum), total("count", count)];
  }
}

/** A counter of held series, beside those that are counted by their labels. */
export class SeriesCounter extends Counter {
  readonly #held = new Set<Counted>();

  constructor(configuration: Omit<CounterConfiguration<string>, "collect">) {
    super({
      ...configuration,
      collect() {
        (this as unknown as SeriesCounter).#tell();
      },
    });
  }

  /** One more series; ask once for each set of labels. */
  series(labels: Labels): Counted {
    const held = new Counted(labels, (series) => this.#forget(series));
    this.#held.add(held);
    return held;
  }

  #forget(held: Counted): void {
    this.#held.delete(held);
    this.remove(held.labels);
  }

  #tell(): void {
    for (const held of this.#held) {
      this.inc(held.labels, held.count - held.told);
      held.told = held.count;
    }
  }
}
