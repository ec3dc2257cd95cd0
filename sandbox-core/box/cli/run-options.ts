/** The options of `box run`. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { isAbsolute } from "node:path";
import { O } from "../../abi/linux.ts";
import type { SandboxLimits } from "../../contract/sandbox.ts";
import { openInRoot } from "../../syscall/openat2.ts";
import type { BoxBind, BoxOptions } from "../command.ts";
import type { OptionSpec } from "./arguments.ts";
import { type EgressWords, egressOf, readEgress, readPrivateRange } from "./egress-options.ts";
import { parseBytes, parseCount, parseCpus, parseMs, quote } from "./units.ts";
import { UsageError } from "./usage.ts";

export interface RunOptions {
  limits: Partial<SandboxLimits>;
  binds: BoxBind[];
  env: Record<string, string>;
  /** Names whose values come from the caller's environment. */
  inherited: string[];
  rootfs?: string;
  network: "none" | "host";
  egress: EgressWords;
  workingDirectory?: string;
  user?: string;
  timeoutMs?: number;
  /** Undefined: as standard input and output are. */
  terminal?: boolean;
  json: boolean;
  report?: string;
  help: boolean;
}

export function noOptions(): RunOptions {
  const egress = { rules: [], privateRanges: [] };
  return { limits: {}, binds: [], env: {}, inherited: [], network: "none", egress, json: false, help: false };
}

/** The first process, and the command. */
const LEAST_PIDS = 2;

/** Each notes itself in a RunOptions. */
export const RUN_OPTIONS: readonly OptionSpec<RunOptions>[] = [
  limit("--memory", "SIZE", "most memory, /tmp included (256m)", (text) => ({ memoryBytes: parseBytes(text) }), "-m"),
  limit("--cpus", "NUMBER", "processors' worth of time (1)", (text) => ({ cpus: parseCpus(text) })),
  limit("--pids", "COUNT", "most processes and threads (128)", (text) => ({ pids: parseCount(text, LEAST_PIDS) })),
  limit("--tmp", "SIZE", "size of /tmp (64m)", (text) => ({ tmpBytes: parseBytes(text) })),
  limit("--cpu-weight", "COUNT", "share against busy neighbours, 1 to 10000 (100)", (text) => ({
    cpuWeight: parseCount(text, 1),
  })),
  limit("--io-read-bps", "SIZE", "most bytes a second from each disk", (text) => ({ ioReadBps: parseBytes(text) })),
  limit("--io-write-bps", "SIZE", "most bytes a second to each disk", (text) => ({ ioWriteBps: parseBytes(text) })),
  limit("--io-read-iops", "COUNT", "most reads a second from each disk", (text) => ({
    ioReadIops: parseCount(text, 1),
  })),
  limit("--io-write-iops", "COUNT", "most writes a second to each disk", (text) => ({
    ioWriteIops: parseCount(text, 1),
  })),
  {
    name: "--timeout",
    value: "TIME",
    help: "end it after so long: 500ms, 5s, 2m",
    apply: (options, text) => {
      options.timeoutMs = parseMs(text);
    },
  },
  {
    name: "--rootfs",
    value: "DIR",
    help: "a directory as its root, read-only, instead of the host's /usr",
    apply: (options, text) => {
      options.rootfs = text;
    },
  },
  {
    name: "--bind",
    short: "-v",
    value: "SRC:DST[:ro]",
    help: "show it a file or directory; again for more",
    apply: (options, text) => void options.binds.push(parseBind(text)),
  },
  {
    name: "--net",
    value: "none|host",
    help: "loopback alone, or the host's network (none)",
    apply: (options, text) => {
      if (text !== "none" && text !== "host")
        throw new UsageError(`there is no network ${quote(text)}`, "write none or host");
      options.network = text;
    },
  },
  {
    name: "--egress",
    value: "HOST[:PORT]",
    help: "let it reach that host, on port 443 unless it says another; again for more",
    apply: ({ egress }, text) => void egress.rules.push(readEgress(text)),
  },
  {
    name: "--egress-private",
    value: "CIDR",
    help: "let such hosts have addresses of that private range; again for more",
    apply: ({ egress }, text) => void egress.privateRanges.push(readPrivateRange(text)),
  },
  {
    name: "--egress-connections",
    value: "COUNT",
    help: "most connections to them at once (256)",
    apply: ({ egress }, text) => {
      egress.connections = parseCount(text, 1);
    },
  },
  {
    name: "--egress-bytes",
    value: "SIZE",
    help: "most bytes to and from them, all together (no limit)",
    apply: ({ egress }, text) => {
      egress.bytes = parseBytes(text);
    },
  },
  {
    name: "--env",
    short: "-e",
    value: "K[=V]",
    help: "set a variable, or hand yours on; again for more",
    apply: addVariable,
  },
  {
    name: "--workdir",
    short: "-w",
    value: "DIR",
    help: "where it starts (/)",
    apply: (options, text) => {
      if (!isAbsolute(text)) throw new UsageError(`${quote(text)} is relative`, "write a path of the box: /tmp");
      options.workingDirectory = text;
    },
  },
  {
    name: "--user",
    short: "-u",
    value: "USER[:GROUP]",
    help: "who it believes it is: a number, or a name of its /etc/passwd (1000)",
    apply: (options, text) => {
      options.user = text;
    },
  },
  {
    name: "--interactive",
    short: "-i",
    help: "read your standard input; a box always does, and -it is the habit",
    apply: () => {},
  },
  terminalSwitch("--tty", "give it a terminal, also when this is none", true, "-t"),
  terminalSwitch("--no-tty", "give it pipes, also on a terminal", false),
  {
    name: "--json",
    help: "report outcome and use as JSON: the last line of stderr",
    apply: (options) => {
      options.json = true;
    },
  },
  {
    name: "--report",
    value: "FILE",
    help: "write that JSON to a file",
    apply: (options, text) => {
      options.report = text;
    },
  },
  {
    name: "--help",
    short: "-h",
    help: "explain",
    apply: (options) => {
      options.help = true;
    },
  },
];

function limit(
  name: string,
  value: string,
  help: string,
  parse: (text: string) => Partial<SandboxLimits>,
  short?: string,
): OptionSpec<RunOptions> {
  const apply = (options: RunOptions, text: string) => void Object.assign(options.limits, parse(text));
  return { name, value, help, apply, ...(short === undefined ? {} : { short }) };
}

function terminalSwitch(name: string, help: string, terminal: boolean, short?: string): OptionSpec<RunOptions> {
  const apply = (options: RunOptions) => {
    options.terminal = terminal;
  };
  return { name, help, apply, ...(short === undefined ? {} : { short }) };
}

/** As docker run: writable unless it says ro, as far as the files' own modes let the box's user. */
function parseBind(text: string): BoxBind {
  const [source = "", target = "", mode = "rw", ...more] = text.split(":");
  if (source === "" || !isAbsolute(target) || more.length > 0 || !["ro", "rw"].includes(mode))
    throw new UsageError(
      `${quote(text)} is no bind`,
      "write SRC:DST or SRC:DST:ro, with DST absolute: ./data:/data:ro",
    );
  return { source, target, readOnly: mode === "ro" };
}

function addVariable(options: RunOptions, text: string): void {
  const at = text.indexOf("=");
  if (at === 0 || text === "") throw new UsageError(`${quote(text)} has no name`, "write NAME=value");
  if (at === -1) options.inherited.push(text);
  else options.env[text.slice(0, at)] = text.slice(at + 1);
}

/**
 * The request for a Box, with the values of inherited variables and with names of users looked up.
 * @throws UsageError for a user who is not there
 */
export function boxOptionsOf(options: RunOptions, argv: string[], environment: NodeJS.ProcessEnv): BoxOptions {
  const { limits, binds, rootfs, network, workingDirectory, user, timeoutMs } = options;
  const egress = egressOf(options.egress);
  if (egress && network === "host")
    throw new UsageError("--egress bounds a network of the box's own, not the host's", "leave out --net host");
  const inherited = options.inherited.flatMap((name) => {
    const value = environment[name];
    return value === undefined ? [] : [[name, value]];
  });
  return {
    argv,
    limits,
    binds,
    network,
    env: { ...Object.fromEntries(inherited), ...options.env },
    ...(egress && { egress }),
    ...(rootfs !== undefined && { root: { directory: rootfs } }),
    ...(workingDirectory !== undefined && { workingDirectory }),
    ...(user !== undefined && { user: findUser(user, rootfs) }),
    ...(timeoutMs !== undefined && { timeoutMs }),
  };
}

const HIGHEST_ID = 4_294_967_294;
const MOST_READ_BYTES = 1024 * 1024;

/** "1000", "1000:100" or a name. */
function findUser(text: string, rootfs: string | undefined): { uid: number; gid: number } {
  const [, uid, gid = uid] = /^(\d+)(?::(\d+))?$/.exec(text) ?? [];
  const found = uid === undefined ? lookUp(text, rootfs) : { uid: Number(uid), gid: Number(gid) };
  if (found && found.uid <= HIGHEST_ID && found.gid <= HIGHEST_ID) return found;
  throw new UsageError(`--user: there is no user ${quote(text)}`, "write numbers, as 1000 or 1000:1000");
}

/**
 * The name in /etc/passwd (passwd(5)): of the root, or of the box's own, which knows root, box and
 * nobody.
 */
function lookUp(name: string, rootfs: string | undefined): { uid: number; gid: number } | undefined {
  if (rootfs === undefined)
    return { root: { uid: 0, gid: 0 }, box: { uid: 1000, gid: 1000 }, nobody: { uid: 65_534, gid: 65_534 } }[name];
  const line = readInRoot(rootfs, "etc/passwd")
    .split("\n")
    .find((entry) => entry.startsWith(`${name}:`));
  const [, , uid = "", gid = ""] = line?.split(":") ?? [];
  return /^\d+$/.test(uid) && /^\d+$/.test(gid) ? { uid: Number(uid), gid: Number(gid) } : undefined;
}

/**
 * The beginning of a file as whoever is in that root sees it, and nothing of what is no file: the
 * root is somebody else's.
 */
function readInRoot(root: string, path: string): string {
  const open: number[] = [];
  try {
    const opened = (fd: number) => open[open.push(fd) - 1] as number;
    const place = opened(openInRoot(opened(openSync(root, O.PATH | O.CLOEXEC)), path, O.PATH | O.CLOEXEC));
    // Only then is it opened: a named pipe has nobody at its other end, and who knows what a device
    // does.
    if (!fstatSync(place).isFile()) return "";
    const fd = opened(openSync(`/proc/self/fd/${place}`, O.CLOEXEC));
    const bytes = Buffer.alloc(MOST_READ_BYTES);
    return bytes.toString("utf8", 0, readSync(fd, bytes, 0, bytes.length, 0));
  } catch {
    return "";
  } finally {
    for (const fd of open) closeSync(fd);
  }
}
