/**
 * A machine in qemu's software emulation: boots a kernel, shows what it says, and tells how its
 * tests ended.
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

const MEMORY_MIB = 3072;
/** What the machine's first process says around the tests (init.sh). */
const BEGIN = "sandpiper-vm: begin";
const END = /sandpiper-vm: exit (\d+)$/;
/** Escape sequences of the firmware, and of programs that take the serial line for a terminal. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is what terminals are told by.
const ESCAPES = /\x1b\[[0-9;?]*[A-Za-z]|\r/g;

export interface BootOptions {
  qemu: string;
  kernel: string;
  initramfs: string;
  /**
   * Longest time without a word: on a busy host the machine is slow, and one that says nothing has
   * stopped.
   */
  silenceMs: number;
  show: (line: string) => void;
}

/**
 * Boots, and resolves with the exit code of the tests.
 * @throws Error with the machine's last words when it ends without one, or stops
 */
export async function boot({ qemu, kernel, initramfs, silenceMs, show }: BootOptions): Promise<number> {
  const child = spawn(qemu, machineArguments(kernel, initramfs), { stdio: ["ignore", "pipe", "pipe"] });
  const end = () => child.kill("SIGKILL");
  process.once("exit", end);
  let lastWords: string[] = [];
  child.stderr.setEncoding("utf8").on("data", (text: string) => lastWords.push(text));
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    end();
  }, silenceMs);
  let begun = false;
  let code: number | undefined;
  for await (const raw of createInterface({ input: child.stdout })) {
    timer.refresh();
    const line = raw.replace(ESCAPES, "");
    const exit = END.exec(line);
    if (exit) code = Number(exit[1]);
    else if (begun) show(line);
    else lastWords = [...lastWords.slice(-40), line];
    // A program may have left its line unfinished before.
    begun ||= line.endsWith(BEGIN);
  }
  clearTimeout(timer);
  process.off("exit", end);
  if (code !== undefined) return code;
  const why = late ? `said nothing for ${silenceMs / 1000} s` : "ended before its tests did";
  throw new Error(`the machine ${why}${begun ? "" : `; it had not begun them:\n${lastWords.join("\n")}`}`);
}

/**
 * One processor, whose clock counts instructions, two nanoseconds each: its time stands still while
 * this machine is busy with other things, so that no limit of time in a test is missed for that. No
 * device but a serial line, no network.
 */
function machineArguments(kernel: string, initramfs: string): string[] {
  const machine = [
    "-accel",
    "tcg,thread=single",
    "-icount",
    "shift=1,sleep=off",
    "-cpu",
    "max",
    "-smp",
    "1",
    "-m",
    String(MEMORY_MIB),
  ];
  const devices = ["-nodefaults", "-no-user-config", "-nographic", "-serial", "stdio", "-no-reboot"];
  // A panic, or the end of the first process, is the end of the machine: with -no-reboot qemu
  // leaves.
  const command = "console=ttyS0 loglevel=1 panic=-1";
  return [...machine, ...devices, "-kernel", kernel, "-initrd", initramfs, "-append", command];
}
