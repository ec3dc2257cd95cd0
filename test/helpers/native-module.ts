/**
 * A module that a zygote under test loads first (node --import): its sandboxes find `native`,
 * system calls as functions, among their globals. A tenant who broke out of V8 has as much.
 */
import { sys } from "../../sandbox-core/syscall/libc.ts";

Object.defineProperty(globalThis, "native", { value: { ...sys } });

/** The flags that have a zygote load it. */
export const NATIVE_FLAGS = ["--import", import.meta.url];
