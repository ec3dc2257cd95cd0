/** Compiles hostile.c with the system's compiler into bytes that run wherever they are put. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const FLAGS = [
  ...["-O1", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-fPIE", "-fno-stack-protector"],
  ...["-fno-asynchronous-unwind-tables", "-nostdlib", "-static", "-Wl,--oformat=binary", "-Wl,--build-id=none"],
  ...(process.arch === "x64" ? ["-mno-red-zone", "-fcf-protection=none"] : []),
];

/** @throws Error that says how to get a compiler where there is none, or what it said */
export function compileHostile(): Buffer {
  const directory = mkdtempSync(join(tmpdir(), "sp-native-"));
  const output = join(directory, "hostile.bin");
  const inputs = [`-Wl,-T,${join(import.meta.dirname, "flat.ld")}`, join(import.meta.dirname, "hostile.c")];
  try {
    execFileSync("cc", [...FLAGS, ...inputs, "-o", output], { stdio: ["ignore", "pipe", "pipe"] });
    return readFileSync(output);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
    throw new Error("No C compiler: the hostile native program cannot be made. apt-get install gcc libc6-dev", {
      cause,
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
}
