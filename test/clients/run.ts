/** Runs the examples of docs/EGRESS.md on a platform that knows their servers' names. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Platform } from "../helpers/platform.ts";
import { stretched } from "../helpers/slowness.ts";
import { documentedExample, trustModule } from "./document.ts";
import type { ClientExample, RunningServer } from "./example.ts";

/** The certificate of the authority comes first, so that nothing is connected to without it. */
const ENTRY = `import "./ca.ts";\nexport { default } from "./example.ts";\n`;

export class ClientRun implements AsyncDisposable {
  readonly platform: Platform;
  readonly #directory: string;
  readonly #modules: string;
  readonly #addresses: ReadonlyMap<ClientExample, string>;
  readonly #servers: RunningServer[] = [];

  private constructor(platform: Platform, directory: string, modules: string, examples: readonly ClientExample[]) {
    this.platform = platform;
    this.#directory = directory;
    this.#modules = modules;
    this.#addresses = addressesOf(examples);
  }

  /** @param modules the node_modules that have the examples' packages */
  static async start(examples: readonly ClientExample[], modules: string): Promise<ClientRun> {
    const directory = mkdtempSync(join(tmpdir(), "sp-clients-"));
    // The relay and the databases are users of their own.
    chmodSync(directory, 0o755);
    const lines = [...addressesOf(examples)].map(([{ hosts }, address]) => `${address} ${hosts.join(" ")}\n`);
    writeFileSync(join(directory, "hosts"), lines.join(""));
    certify(directory, examples);
    const platform = await Platform.start({ env: { SANDPIPER_EGRESS_HOSTS_FILE: join(directory, "hosts") } });
    symlinkSync(modules, join(platform.dataDir, "node_modules"));
    const { code, stderr } = await platform.cli(["egress", "private", "main", "127.0.0.0/8"]);
    assert.equal(code, 0, stderr);
    return new ClientRun(platform, directory, modules, examples);
  }

  /**
   * Starts an example's server, deploys its function under its name and calls it.
   * @throws AssertionError for another answer than the example's, or Error
   */
  async check(example: ClientExample): Promise<void> {
    const { name, answers } = example;
    const server = await this.#serve(example);
    const url = await this.#deploy(example);
    const given: string[] = [];
    for (const _ of answers) given.push(await (await fetch(url)).text());
    if (String(given) !== String(answers)) console.error((await this.platform.cli(["logs", name])).stdout);
    assert.deepEqual(given, answers);
    server.check?.();
  }

  async #serve(example: ClientExample): Promise<RunningServer> {
    const directory = join(this.#directory, example.name);
    mkdirSync(directory);
    const [key, cert] = [join(this.#directory, "key.pem"), join(this.#directory, "cert.pem")];
    const address = this.#addresses.get(example) as string;
    const load = createRequire(join(this.#modules, "of-the-examples.js"));
    const server = await example.start({ address, directory, tls: { key, cert }, load });
    this.#servers.push(server);
    return server;
  }

  async #deploy({ name, title, secrets }: ClientExample): Promise<string> {
    const authority = readFileSync(join(this.#directory, "ca.pem"), "utf8");
    for (const [secret, input] of Object.entries({ CA: authority, ...secrets })) {
      const { code, stderr } = await this.platform.cli(["secret", "set", secret, "--function", name], { input });
      assert.equal(code, 0, stderr);
    }
    const { files, config } = documentedExample(title);
    const all = { ...files, "ca.ts": trustModule(), "index.ts": ENTRY };
    return await this.platform.deployFiles(name, all, { ...config, timeoutMs: stretched(20_000) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.platform.stop();
    for (const server of this.#servers) await server.stop();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** Addresses of loopback that no other process's examples have, for servers on well-known ports. */
function addressesOf(examples: readonly ClientExample[]): Map<ClientExample, string> {
  const own = `127.${64 | ((process.pid >> 8) & 0x3f)}.${process.pid & 0xff}`;
  return new Map(examples.map((example, index) => [example, `${own}.${index + 1}`]));
}

/** An authority of the run's own, and one certificate for the names of all examples. */
function certify(directory: string, examples: readonly ClientExample[]): void {
  const path = (name: string) => join(directory, `${name}.pem`);
  const request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  const make = (...args: string[]) => execFileSync("openssl", [...request, ...args], { stdio: "ignore" });
  make("-subj", "/CN=an authority of tests", "-keyout", path("ca-key"), "-out", path("ca"));
  const names = examples.flatMap(({ hosts }) => hosts).map((host) => `DNS:${host}`);
  const leaf = ["-addext", `subjectAltName=${names}`, "-addext", "basicConstraints=critical,CA:FALSE"];
  const issuer = ["-CA", path("ca"), "-CAkey", path("ca-key")];
  make("-subj", "/CN=servers of tests", ...leaf, ...issuer, "-keyout", path("key"), "-out", path("cert"));
  for (const name of ["key", "cert"]) chmodSync(path(name), 0o644);
}
