/**
 * A module that a zygote under test loads first (node --import): while the file `plan` says so, the
 * fork of its self-test does not live. Forks of launches are left alone.
 */
import { existsSync, readFileSync } from "node:fs";
import { CLONE, SIGKILL } from "../../sandbox-core/abi/linux.ts";
import { sys } from "../../sandbox-core/syscall/libc.ts";

const plan = new URL(import.meta.url).searchParams.get("plan") as string;
const real = { ...sys };
let isLaunch = false;

Object.assign(sys, {
  // A launch makes its namespaces first, and forks then.
  unshare: (flags: number) => {
    isLaunch ||= (flags & CLONE.NEWPID) !== 0;
    return real.unshare(flags);
  },
  fork: () => {
    const how = isLaunch || !existsSync(plan) ? "" : readFileSync(plan, "utf8");
    isLaunch = false;
    const pid = real.fork();
    if (pid !== 0) {
      if (how === "zygote dies") process.kill(process.pid, "SIGKILL");
      return pid;
    }
    if (how === "hangs") for (;;) real.poll(Buffer.alloc(0), 0, -1);
    if (how === "crashes") real.kill(process.pid, SIGKILL);
    return pid;
  },
});

/** Flags that have a zygote load this module, with a file that may hold a plan. */
export function selftestFlags(file: string): string[] {
  return ["--import", `${import.meta.url}?plan=${encodeURIComponent(file)}`];
}
