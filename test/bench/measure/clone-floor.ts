/** A bare clone(2) with six namespaces, by a program that is compiled for the purpose. */
import { compile } from "./c-program.ts";

/** Makes so many, one after the other. @returns milliseconds of each */
export type CloneFloor = (count: number) => Promise<number[]>;

/** @throws Error when there is no compiler and none can be installed, or the kernel refuses */
export async function compileCloneFloor(): Promise<CloneFloor> {
  const program = await compile("clone-floor");
  const run: CloneFloor = async (count) => (await program(String(count))).map(Number);
  await run(1);
  return run;
}
