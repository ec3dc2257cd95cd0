/**
 * A module that a zygote under test loads before its own code (node --import): its system calls,
 * and those file system calls of Node's that set a sandbox up, are recorded, and one of them fails,
 * hangs or is the last. See faults.ts for the other end, and for what the numbers mean.
 *
 * It takes the place of the functions in `sys` and in node:fs. Nothing of this is in what runs in
 * production.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { constants } from "node:os";
import { F_DUPFD_CLOEXEC } from "../../sandbox-core/abi/linux.ts";
import { SyscallError } from "../../sandbox-core/syscall/error.ts";
import { sys } from "../../sandbox-core/syscall/libc.ts";
import { HostIds } from "../../sandbox-core/zygote/host-ids.ts";
import type { Plan, Side } from "./faults.ts";

const directory = new URL(import.meta.url).searchParams.get("directory") as string;
/** Above all that a sandbox puts in place. */
const RECORD_FD = 900;

/** Where a call is named otherwise than in `sys`. */
const NAMES: Record<string, string> = {
  pivotRoot: "pivot_root",
  installFilter: "seccomp",
  epollCreate: "epoll_create1",
  epollControl: "epoll_ctl",
  epollWait: "epoll_wait",
};

/**
 * What our code asks of the file system by way of Node, and the system call that names the failure.
 */
const FILE_CALLS = {
  mkdirSync: "mkdir",
  rmdirSync: "rmdir",
  writeFileSync: "open",
  readFileSync: "open",
  openSync: "open",
  readSync: "read",
  closeSync: "close",
  readlinkSync: "readlink",
  readdirSync: "scandir",
} as const;

type Call = (...args: never[]) => unknown;
const real = {
  fcntl: sys.fcntl,
  write: sys.write,
  poll: sys.poll,
  readFileSync: fs.readFileSync,
  writeFileSync: fs.writeFileSync,
};

let side: Side = "zygote";
/** What is there already was meant for a zygote before this one. */
let plan: Plan = { number: readPlan().number };
let calls = 0;
const record = real.fcntl(fs.openSync(`${directory}/record`, "a"), F_DUPFD_CLOEXEC, RECORD_FD);

function readPlan(): Plan {
  return JSON.parse(real.readFileSync(`${directory}/plan`, "utf8")) as Plan;
}

/** Looked for whenever the zygote has something to do. */
function followPlan(): void {
  const next = readPlan();
  if (next.number === plan.number) return;
  plan = next;
  calls = 0;
}

/** What happens before every call. @throws what `fail` gives, when it is the one that is to fail */
function before(name: string, fail: (code: string) => Error): void {
  if (plan.only !== undefined && !plan.only.includes(name)) return;
  calls += 1;
  if (plan.record) {
    const line = Buffer.from(`${plan.number} ${side} ${name}\n`);
    real.write(record, line, line.length);
  }
  const { fault } = plan;
  if (fault?.side !== side || calls < fault.at || (calls > fault.at && !fault.lasting)) return;
  if (fault.code === "HANG") real.poll(Buffer.alloc(0), 0, -1);
  throw fail(fault.code);
}

function errnoOf(code: string): number {
  return constants.errno[code as keyof typeof constants.errno];
}

function replace(target: Record<string, Call>, key: string, call: (original: Call) => Call): void {
  target[key] = call(target[key] as Call);
}

const calling = sys as unknown as Record<string, Call>;
for (const key of Object.keys(sys))
  replace(calling, key, (original) => (...args) => {
    const name = key === "syscall" ? String(args[0]) : (NAMES[key] ?? key);
    before(name, (code) => new SyscallError(name, errnoOf(code), "injected"));
    // Recording goes on after it.
    if (plan.record && name === "close_range") return 0;
    return original(...args);
  });
replace(calling, "fork", (original) => () => {
  const pid = original() as number;
  if (pid === 0) {
    side = "child";
    calls = 0;
  }
  return pid;
});
replace(calling, "epollWait", (original) => (...args) => {
  const count = original(...args);
  followPlan();
  return count;
});

const files = fs as unknown as Record<string, Call>;
for (const [key, name] of Object.entries(FILE_CALLS))
  replace(files, key, (original) => (...args) => {
    before(name, (code) => Object.assign(new Error(`${code}: injected, ${name}`), { code, syscall: name }));
    return original(...args);
  });
syncBuiltinESMExports();

/** How many host users are taken, for whoever wants to know that none is lost. */
let taken = 0;
const { take, giveBack } = HostIds.prototype;
const count = (change: number) => {
  taken += change;
  real.writeFileSync(`${directory}/ids`, String(taken));
};
HostIds.prototype.take = function (): number {
  const id = take.call(this);
  count(1);
  return id;
};
HostIds.prototype.giveBack = function (id: number): void {
  giveBack.call(this, id);
  count(-1);
};
count(0);
