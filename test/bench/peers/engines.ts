/** Other programs that isolate a command, each made to do as much as it can of what a box does. */
import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ensureProgram } from "../../../infra/up/apt-install.ts";
import { createSteps } from "../../../infra/up/steps.ts";
import { tempDir } from "../../helpers/temp-dir.ts";
import { runMs } from "../measure/programs.ts";
import { seeingVersionOne } from "./version-one.ts";

/** A command that they all run. */
export interface Command {
  argv: readonly string[];
  /** Its own directory, shown read-only at the same path. */
  directory?: string;
}

export const TRUE: Command = { argv: ["/bin/true"] };
export const NODE: Command = { argv: [process.execPath, "-e", "0"], directory: dirname(process.execPath) };

export interface Engine {
  name: string;
  /**
   * Runs the command from start to end. @returns milliseconds. @throws Error when it does not end
   * well
   */
  run(command: Command): Promise<number>;
}

const LINKS = ["bin", "sbin", "lib", "lib64"];

interface Kind {
  name: string;
  packageName: string;
  /** What has to be put before it on this machine. */
  before?(): Promise<string[]>;
  /** What is to be written down for a command before it can be run, and what runs it then. */
  prepare(command: Command): (number: number) => string[];
}

const KINDS: readonly Kind[] = [
  { name: "bwrap", packageName: "bubblewrap", prepare: (command) => () => bubblewrap(command) },
  { name: "runc", packageName: "runc", prepare: (command) => bundled("runc", command) },
  {
    name: "crun",
    packageName: "crun",
    before: seeingVersionOne,
    prepare: (command) => bundled("crun", command),
  },
  {
    name: "unshare",
    packageName: "util-linux",
    prepare:
      ({ argv }) =>
      () => [...["--fork", "--pid", "--mount", "--net", "--ipc", "--uts", "--cgroup"], ...argv],
  },
];

export const ENGINE_NAMES = KINDS.map(({ name }) => name);

/** Those that this machine has or can install, and why it has not the others, by name. */
export async function findEngines(): Promise<{ engines: Engine[]; missing: Map<string, string> }> {
  const engines: Engine[] = [];
  const missing = new Map<string, string>();
  const steps = createSteps(process.stderr, false);
  for (const kind of KINDS) {
    const { name, packageName } = kind;
    const wanted = { program: name, packages: [packageName], otherwise: `install ${packageName}` };
    try {
      const program = await ensureProgram(wanted, process.env, steps);
      const engine = engineOf(kind, [...((await kind.before?.()) ?? []), program]);
      await engine.run(TRUE);
      engines.push(engine);
    } catch (error) {
      missing.set(name, (error as Error).message);
    }
  }
  return { engines, missing };
}

function engineOf({ name, prepare }: Kind, [program = "", ...before]: readonly string[]): Engine {
  const prepared = new Map<Command, (number: number) => string[]>();
  let runs = 0;
  return {
    name,
    async run(command) {
      const argumentsOf = prepared.get(command) ?? prepare(command);
      prepared.set(command, argumentsOf);
      return runMs(program, [...before, ...argumentsOf(runs++)]);
    },
  };
}

function bubblewrap({ argv, directory }: Command): string[] {
  return [
    ...["--unshare-all", "--die-with-parent", "--new-session", "--clearenv"],
    ...["--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"],
    ...LINKS.flatMap((name) => ["--symlink", `usr/${name}`, `/${name}`]),
    ...(directory === undefined ? [] : ["--ro-bind", directory, directory]),
    ...argv,
  ];
}

/**
 * A bundle as runc(8) and crun(1) take it: a root of links and mount points, and the OCI runtime
 * configuration.
 */
function bundled(name: string, command: Command): (number: number) => string[] {
  const bundle = mkdtempSync(join(tempDir(), `${name}-`));
  const root = join(bundle, "rootfs");
  for (const point of ["usr", "proc", "dev", "tmp"]) mkdirSync(join(root, point), { recursive: true });
  if (command.directory !== undefined) mkdirSync(join(root, command.directory), { recursive: true });
  for (const link of LINKS) symlinkSync(`usr/${link}`, join(root, link));
  writeFileSync(join(bundle, "config.json"), JSON.stringify(configuration(command)));
  return (number) => ["run", "--bundle", bundle, `sandpiper-bench-${process.pid}-${number}`];
}

function configuration({ argv, directory }: Command): unknown {
  const bind = (path: string) => ({ destination: path, type: "bind", source: path, options: ["bind", "ro"] });
  const tmpfs = (destination: string) => ({
    destination,
    type: "tmpfs",
    source: "tmpfs",
    options: ["nosuid", "mode=1777"],
  });
  const none: string[] = [];
  return {
    ociVersion: "1.0.2",
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      args: argv,
      env: ["PATH=/usr/bin:/bin"],
      cwd: "/",
      capabilities: { bounding: none, effective: none, permitted: none },
      noNewPrivileges: true,
    },
    root: { path: "rootfs", readonly: true },
    hostname: "sandpiper",
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755", "size=64k"] },
      tmpfs("/tmp"),
      bind("/usr"),
      ...(directory === undefined ? [] : [bind(directory)]),
    ],
    linux: {
      namespaces: ["pid", "network", "ipc", "uts", "mount", "cgroup"].map((type) => ({ type })),
      resources: {
        memory: { limit: 268_435_456 },
        cpu: { quota: 100_000, period: 100_000 },
        pids: { limit: 128 },
      },
    },
  };
}
