/** What may stand in a source file, and how long it may be. */
import type { Source } from "./source.ts";

/** Files that may read the environment: the rest takes settings as arguments. */
const MAY_READ_ENVIRONMENT =
  /^(infra\/|test\/|functions\/cli\/main\.ts$|sandbox-core\/box\/cli\/main\.ts$|functions\/(examples|templates)\/|.*\.mjs$)/;
/** Inside a sandbox `process.env` is the tenant's, and the runtime fills it. */
const FILLS_ENVIRONMENT = /^sandbox-core\/runtime\//;

/** Reads of process.env outside of the places that own it. */
export function environmentReads(sources: readonly Source[]): string[] {
  return sources
    .filter(({ path }) => !MAY_READ_ENVIRONMENT.test(path) && !FILLS_ENVIRONMENT.test(path))
    .filter(({ code }) => /\bprocess\s*\.\s*env\b(?![`'"])|\benv\b[^;]*from "node:process"/.test(code))
    .map(({ path }) => `${path} reads process.env: take the setting as an argument (see infra/config.ts)`);
}

/** Directories whose files make system calls. */
const USES_KERNEL = /^sandbox-core\/(syscall|cgroup|rootfs|seccomp|fork|zygote|launcher)\//;
/** Prefixes of the kernel's own names for numbers. */
const KERNEL_NAME =
  /\b((?:CLONE|MS|MNT|PR|CAP|SECCOMP|BPF|LANDLOCK|SYS|NR|AT|MADV|PROT|MAP|RLIMIT|RESOLVE|AUDIT_ARCH|CLOSE_RANGE|SIG|SOL|SO|SCM|MSG|AF|SOCK|EPOLL|FUTEX|IORING|[A-Z]+_MAGIC)_[A-Z0-9_]+|O_[A-Z]+|S_I[A-Z]+|E[A-Z]{3,})\s*(?::[^=;]+)?[=:]\s*(-?(?:0[xo])?[0-9][0-9a-fA-F_]*n?)\b/g;
/**
 * Hex numbers up to a byte are masks and bytes, and all ones is a whole word; others in such files
 * are the kernel's.
 */
const LARGE_HEX = /\b0x(?![fF_]+\b)[0-9a-fA-F_]{3,}\b/g;

/**
 * The kernel's numbers outside of sandbox-core/abi, by a name of the kernel's or as a large hex
 * number.
 */
export function kernelNumbers(sources: readonly Source[]): string[] {
  return sources
    .filter(({ path }) => USES_KERNEL.test(path))
    .flatMap(({ path, code }) => [
      ...[...code.matchAll(KERNEL_NAME)].map(([, name, value]) => `${path} says that ${name} is ${value}`),
      ...[...code.matchAll(LARGE_HEX)].map(([value]) => `${path} has the number ${value}`),
    ])
    .map((problem) => `${problem}: kernel numbers belong in sandbox-core/abi`);
}

const MAX_LINES = 320;
const MAX_MAIN_LINES = 80;
/** Tables of the kernel's numbers, and the wire protocol, which is one file by design. */
const MAY_BE_LONG = /^(sandbox-core\/abi\/|sandbox-core\/protocol\/frames\.ts$|test\/)/;

/** Files that no longer have one idea, and main.ts files that do more than compose. */
export function longFiles(sources: readonly Source[]): string[] {
  return sources.flatMap(({ path, text, code }) => {
    const lines = text.split("\n").filter((line) => line.trim() !== "").length;
    const codeLines = code.split("\n").filter((line) => line.trim() !== "").length;
    if (path.endsWith("/main.ts") && !path.startsWith("test/") && codeLines > MAX_MAIN_LINES) {
      return [
        `${path} has ${codeLines} lines of code: a main.ts composes and shuts down, in ${MAX_MAIN_LINES} at most`,
      ];
    }
    if (lines > MAX_LINES && !MAY_BE_LONG.test(path)) return [`${path} has ${lines} lines; ${MAX_LINES} are the most`];
    return [];
  });
}

const UNFINISHED = /\b(TODO|FIXME|XXX|HACK)\b/;

/**
 * Words that must be gone before anything is done: reminders, and tests that keep others from
 * running.
 */
export function unfinished(sources: readonly Source[]): string[] {
  return sources.flatMap(({ path, text, code }) => [
    ...(UNFINISHED.test(text) && !path.startsWith("test/tidy") ? [`${path} has a ${UNFINISHED.exec(text)?.[0]}`] : []),
    ...(path.endsWith(".test.ts") && /\b(test|it|describe|suite)\.only\(/.test(code) ? [`${path} has an only`] : []),
  ]);
}

/**
 * Longest line of a comment; one that holds a table, an address or a word for a tool may be longer.
 */
const COMMENT_COLUMNS = 100;
const MAY_BE_LONGER = /\S {3,}\S|https?:|biome-ignore|-{20}|[─│]/;

/** Lines of comments that are too long to be read easily. */
export function longComments(sources: readonly Source[]): string[] {
  return sources.flatMap(({ path, text }) =>
    text
      .split("\n")
      .map((line, index) => ({ line, number: index + 1 }))
      .filter(
        ({ line }) => line.length > COMMENT_COLUMNS && /^\s*(?:\/\/|\/?\*)/.test(line) && !MAY_BE_LONGER.test(line),
      )
      .map(({ number }) => `${path}:${number}: a line of a comment has ${COMMENT_COLUMNS} columns at most`),
  );
}

/** Comments on exports that begin with a pronoun instead of the thing that they are about. */
export function pronounsFirst(sources: readonly Source[]): string[] {
  const comment = /\/\*\*[\s*]+(?:It|That|What|Who)\b(?:(?!\*\/)[\s\S])*?\*\/\s*export [^\n]*/g;
  return sources.flatMap(({ path, text }) =>
    [...text.matchAll(comment)].map(([found]) => `${path}: name the thing first: ${found.split("\n")[0]}`),
  );
}
