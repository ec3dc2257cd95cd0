/** Known causes, in the words of Redis, Node or the kernel, and what a user can do about each. */
import { UpError } from "./failure.ts";

interface Cause {
  words: RegExp;
  /** The cause in our words, for where those of the kernel are all there is. */
  what: string;
  /** Advice; `DIR` in it stands for the data directory. */
  hint: string;
}

const ELSEWHERE = "or choose another directory: npm start -- --data DIR";

const CAUSES: readonly Cause[] = [
  {
    words: /ENOSPC|EDQUOT|No space left on device|Disk quota exceeded/,
    what: "its disk is full",
    hint: `free some space there (df -h shows how much there is), ${ELSEWHERE}`,
  },
  {
    words: /EROFS|Read-only file system/,
    what: "it is on a file system that is mounted read-only",
    hint: `mount it writable, ${ELSEWHERE}`,
  },
  {
    words: /Can't handle RDB format version|Unknown RDB|AOF manifest file format/,
    what: "its data was written by a newer Redis",
    hint: `install the Redis that wrote the data, or a newer one, ${ELSEWHERE}`,
  },
  {
    words: /Bad file format reading the append only file/,
    what: "the end of its data is damaged",
    hint: `copy the directory, then repair the file that is named above: redis-check-aof --fix FILE; ${ELSEWHERE}`,
  },
  {
    words: /EACCES|EPERM|Permission denied|Operation not permitted/,
    what: "this process may not write there, though it is root",
    hint: `look at its attributes (lsattr) and, if it is on a server, at what that lets root do (no_root_squash), ${ELSEWHERE}`,
  },
  {
    words: /ENOTDIR|EEXIST|Not a directory/,
    what: "there is a file where a directory is to be",
    hint: `move it away, ${ELSEWHERE}`,
  },
  {
    words: /EADDRINUSE/,
    what: "its address is in use",
    hint: "stop what listens there (ss -ltnp shows it), or take any free port: npm start -- --port 0",
  },
  {
    words: /ENOMEM|Cannot allocate memory|Out Of Memory/i,
    what: "the machine's memory is used up",
    hint: "end what uses it (free -h, top), then start again",
  },
];

/** Advice for a failure by the words in which it was told, or null for one that is not known. */
export function hintFor(words: string): string | null {
  return CAUSES.find((cause) => cause.words.test(words))?.hint ?? null;
}

/**
 * An error of the file system below the data directory, in one line with what to do. Anything else
 * stays as it is.
 */
export function explainFailure(error: unknown, dataDir: string): unknown {
  if (error instanceof UpError) return error;
  // A write that finds the disk full names no file.
  const { code, syscall, path = dataDir } = error as NodeJS.ErrnoException;
  const isStorage = code !== undefined && syscall !== undefined && path.startsWith(dataDir);
  return isStorage ? storageFailure(error as NodeJS.ErrnoException, dataDir) : error;
}

/** Why the data directory cannot be used, in one line with what to do. */
export function storageFailure(error: NodeJS.ErrnoException, dataDir: string): UpError {
  const { code = "" } = error;
  const cause = CAUSES.find(({ words }) => words.test(code));
  const what = cause?.what ?? error.message;
  const hint = cause?.hint ?? `put that right, ${ELSEWHERE}`;
  return new UpError(`cannot use the data directory ${dataDir}: ${what} (${code})`, hint, { cause: error });
}
