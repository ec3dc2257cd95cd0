/** One run of `sandpiper dev`, from the first deployment until it is told to end. */
import { randomBytes } from "node:crypto";
import { relative } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { backoffMs } from "../../../infra/std/time.ts";
import type { Deployed } from "../../api/schemas.ts";
import type { Gateway } from "../client/gateway.ts";
import { CallStories } from "./call-stories.ts";
import { type DevFailure, devFailure } from "./failure.ts";
import { upstreamOf } from "./front/forward.ts";
import { Front, type FrontState } from "./front/front.ts";
import { HeldFunction } from "./held-function.ts";
import { followLog } from "./log-follower.ts";
import { Reloads } from "./reloads.ts";
import type { Report } from "./report.ts";
import type { SourceFiles } from "./stack-source.ts";
import { FunctionSource, type ReadFunction } from "./watch/function-source.ts";
import { Watcher } from "./watch/watcher.ts";

/** Pauses before the next try to deploy while the gateway cannot. */
const RETRIES = { firstMs: 500, longestMs: 10_000 };
/** Clocks of this machine and the gateway's differ by less, as a rule. */
const CLOCK_SLACK_MS = 2_000;
/** The variable by which a function can see that it is not deployed; another one in each reload. */
const DEV_VARIABLE = "SANDPIPER_DEV";

export interface SessionOptions {
  /** The function's, free of symbolic links. */
  directory: string;
  /** The name in sandpiper.jsonc. */
  functionName: string;
  gateway: Gateway;
  /** undefined for the usual one. */
  port: number | undefined;
  report: Report;
  /** Aborted when the session closes. */
  closing: AbortController;
  /** Called after sandpiper.jsonc was read anew. */
  onRead(read: ReadFunction): Promise<void>;
}

export class DevSession {
  readonly #options: SessionOptions;
  readonly #source: FunctionSource;
  readonly #held: HeldFunction;
  readonly #front: Front;
  readonly #watcher: Watcher;
  readonly #reloads = new Reloads({ reload: (isOutdated, isForced) => this.#reload(isOutdated, isForced) });
  readonly #stories: CallStories;
  readonly #id = randomBytes(4).toString("hex");
  readonly #changed = new Set<string>();
  #state: Omit<FrontState, "reloading"> = { upstream: null, failure: null, sources: { root: "/", paths: new Set() } };
  #digest = "";
  #count = 0;
  #failures = 0;
  readonly #beganMs = Date.now();
  #changedAtMs = performance.now();
  #following: Promise<void> | null = null;

  private constructor(options: SessionOptions, held: HeldFunction, front: Front, stories: CallStories) {
    this.#options = options;
    this.#held = held;
    this.#front = front;
    this.#stories = stories;
    this.#source = new FunctionSource(options.directory);
    this.#watcher = new Watcher({
      onChange: (path) => this.#onChange(path),
      onPolling: (directory, reason) =>
        options.report.note(`${directory} cannot be watched (${reason}), so it is looked at three times a second`),
    });
  }

  /**
   * Takes the name, listens, and deploys for the first time; resolves when that worked or failed.
   * @throws CliError when there is no gateway, name or port to be had
   */
  static async start(options: SessionOptions): Promise<DevSession> {
    const { gateway, functionName, closing, report } = options;
    const held = await HeldFunction.take({
      gateway,
      functionName,
      closing: closing.signal,
      onAway: (error) => report.failed(devFailure(error)),
      onLost: () => session.restart(),
    });
    const stories = new CallStories();
    const front = await Front.listen(options.port, {
      state: () => ({ ...session.#state, reloading: session.#reloads.running }),
      stories,
      onRefused: (request) => report.refused(request),
    }).catch(async (error: unknown) => {
      await held.release();
      throw error;
    });
    const session = new DevSession(options, held, front, stories);
    await session.#begin();
    return session;
  }

  /** Where the function is served. */
  get url(): string {
    const { upstream } = this.#state;
    const host = upstream?.hostFor(undefined) ?? "";
    return host.endsWith(`.localhost:${this.#front.port}`)
      ? `http://${host}/`
      : `http://localhost:${this.#front.port}/`;
  }

  /** Reads, builds and deploys anew, also what did not change, so that instances begin anew. */
  restart(): void {
    this.#changedAtMs = performance.now();
    this.#reloads.changed(true);
  }

  /** Ends everything, and deletes the function at its gateway. */
  async close(): Promise<void> {
    this.#options.closing.abort();
    this.#watcher.close();
    this.#front.close();
    await this.#reloads.running;
    await this.#held.release();
    await Promise.all([this.#source.close(), this.#following]);
  }

  async #begin(): Promise<void> {
    void this.#held.keep();
    this.restart();
    await this.#reloads.running;
    const { gateway, report } = this.#options;
    report.started({ url: this.url, name: this.#held.name, gateway: gateway.connection.url });
  }

  #onChange(path: string | null): void {
    if (this.#reloads.running === null) this.#changedAtMs = performance.now();
    if (path !== null) this.#changed.add(relative(this.#options.directory, path));
    this.#reloads.changed();
  }

  async #reload(isOutdated: () => boolean, isForced: boolean): Promise<boolean> {
    const sinceMs = Date.now();
    let { sources } = this.#state;
    try {
      const read = await this.#source.read();
      sources = sourcesOf(read);
      this.#watch(sinceMs);
      await this.#options.onRead(read);
      if (isOutdated()) return false;
      const isServed = read.digest === this.#digest && !isForced;
      if (isServed) this.#unchanged();
      else this.#served(read, await this.#deploy(read));
      this.#failures = 0;
    } catch (error) {
      this.#watch(sinceMs);
      if (isOutdated()) return false;
      this.#failed(devFailure(error, sources));
    }
    return true;
  }

  #deploy({ config, upload }: ReadFunction): Promise<Deployed> {
    // Instances of a state that was there before keep what they remember: each reload is a version.
    const env = { ...config.env, [DEV_VARIABLE]: `${this.#id}-${++this.#count}` };
    return this.#held.deploy({ ...upload, config: { ...config, env } });
  }

  #served(read: ReadFunction, deployed: Deployed): void {
    const { gateway, report, closing } = this.#options;
    const { digest, upload } = read;
    this.#digest = digest;
    const upstream = upstreamOf(deployed.url, gateway.connection.url, this.#front.port);
    this.#state = { upstream, failure: null, sources: sourcesOf(read) };
    report.live({
      version: deployed.version,
      tookMs: performance.now() - this.#changedAtMs,
      bundleBytes: deployed.bundleBytes,
      handler: deployed.handler,
      warnings: [...upload.warnings, ...deployed.warnings],
      egress: deployed.egress,
      changed: this.#takeChanged(),
    });
    this.#front.changed();
    this.#following ??= followLog({
      gateway,
      name: this.#held.name,
      sinceMs: this.#beganMs - CLOCK_SLACK_MS,
      closing: closing.signal,
      stories: this.#stories,
      sources: () => this.#state.sources,
      report,
    });
  }

  /** The files hold what is served: nothing changed, or a mistake was taken back. */
  #unchanged(): void {
    this.#takeChanged();
    if (this.#state.failure === null) return;
    this.#state = { ...this.#state, failure: null };
    this.#options.report.unchanged();
    this.#front.changed();
  }

  #failed(failure: DevFailure): void {
    const { report, closing } = this.#options;
    this.#takeChanged();
    if (closing.signal.aborted) return;
    const isNews = this.#state.failure?.message !== failure.message;
    this.#state = { ...this.#state, failure };
    if (isNews) report.failed(failure);
    this.#front.changed();
    if (failure.mayPass) void this.#tryAgain();
  }

  async #tryAgain(): Promise<void> {
    const { signal } = this.#options.closing;
    await wait(backoffMs(++this.#failures, RETRIES), undefined, { signal }).catch(() => {});
    if (!signal.aborted && this.#state.failure?.mayPass) this.restart();
  }

  #watch(sinceMs: number): void {
    if (!this.#options.closing.signal.aborted) this.#watcher.watch(this.#source.wanted, sinceMs);
  }

  #takeChanged(): string[] {
    const changed = [...this.#changed];
    this.#changed.clear();
    return changed;
  }
}

function sourcesOf({ upload }: ReadFunction): SourceFiles {
  return { root: upload.root, paths: new Set(upload.files.map(({ path }) => path)) };
}
