/**
 * Gives a sandbox native code execution: what a hole in the JavaScript engine gives a tenant. The
 * host's root writes the hostile code over a library that the sandboxed process does not need any
 * more, and over the first instructions of getpriority(2)'s wrapper a jump to it. The process goes
 * on by itself, behind all of its walls: it makes no call that it would not make, and starts no
 * program.
 */
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import type { ZygoteLauncher } from "../../../sandbox-core/launcher/launcher.ts";
import { evaluating, SandboxClient } from "../../helpers/sandbox-client.ts";
import { compileHostile } from "./compile.ts";
import { symbolOffset } from "./elf.ts";

/** Begins well inside of the code, which nobody calls: koffi's, that only the zygote needed. */
const HOST_LIBRARY = "koffi.node";
const HOST_OFFSET = 0x1000;

/** What a jump to an address is, before and after the address. */
const JUMPS: Record<string, [before: number[], after: number[]]> = {
  // movabs $address, %rax; jmp *%rax
  x64: [
    [0x48, 0xb8],
    [0xff, 0xe0],
  ],
  // ldr x16, .+8; br x16; address
  arm64: [[0x50, 0x00, 0x00, 0x58, 0x00, 0x02, 0x1f, 0xd6], []],
};

let compiled: Buffer | undefined;

/** A sandbox whose next call runs the plan natively; `start` makes that call. */
export async function armed(launcher: ZygoteLauncher, plan: Buffer): Promise<SandboxClient> {
  const write = `fs.writeFileSync("/tmp/plan", Buffer.from("${plan.toString("base64")}", "base64"))`;
  const client = await SandboxClient.with(launcher, evaluating(`(${write}, os.getPriority())`));
  compiled ??= compileHostile();
  inject(client.sandbox.pid, compiled);
  return client;
}

/**
 * Runs a plan in a sandbox of its own until that ends; gives the lines that it wrote. @throws Error
 * when it broke off
 */
export async function runNatively(launcher: ZygoteLauncher, plan: Buffer): Promise<string[]> {
  await using client = await armed(launcher, plan);
  const ended = new Promise((resolve) => client.sandbox.stdio.once("end", resolve));
  client.request();
  await Promise.all([ended, client.sandbox.exited]);
  const lines = client.lastWords.trim().split("\n");
  if (lines.pop() !== "end") throw new Error(`The plan broke off after ${lines.length} lines: ${lines.at(-1)}`);
  return lines;
}

/** proc_pid_mem(5): root may write what the process itself may not. */
function inject(pid: number, code: Buffer): void {
  const [before, after] = JUMPS[process.arch] as [number[], number[]];
  const home = mappingOf(pid, new RegExp(`/${HOST_LIBRARY}$`), "r-xp").start + HOST_OFFSET;
  const library = mappingOf(pid, /\/libc\.so\.6$/, "r--p");
  const address = Buffer.alloc(8);
  address.writeBigUInt64LE(BigInt(home));
  const memory = openSync(`/proc/${pid}/mem`, "r+");
  try {
    writeSync(memory, code, 0, code.length, home);
    const jump = Buffer.from([...before, ...address, ...after]);
    writeSync(memory, jump, 0, jump.length, library.start + symbolOffset(library.path, "getpriority"));
  } finally {
    closeSync(memory);
  }
}

/** The first mapping of a file with these rights. */
function mappingOf(pid: number, path: RegExp, rights: string): { start: number; path: string } {
  for (const line of readFileSync(`/proc/${pid}/maps`, "latin1").split("\n")) {
    const [, start = "", found, name = ""] = /^([0-9a-f]+)-\S+ (\S+) \S+ \S+ \S+ +(.*)$/.exec(line) ?? [];
    if (found === rights && path.test(name)) return { start: Number.parseInt(start, 16), path: name };
  }
  throw new Error(`process ${pid} has no ${path} mapped ${rights}`);
}

const MODES = ["calls", "descriptor", "fork bomb", "locks"] as const;

/** A plan of hostile.c: its mode and count, and what follows them. */
export function plan(mode: (typeof MODES)[number], count: number, rest: Buffer = Buffer.alloc(0)): Buffer {
  const words = Buffer.alloc(16);
  words.writeBigUInt64LE(BigInt(MODES.indexOf(mode)), 0);
  words.writeBigUInt64LE(BigInt(count), 8);
  return Buffer.concat([words, rest]);
}
