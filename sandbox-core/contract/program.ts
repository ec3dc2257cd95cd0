/** A program in a sandbox: its start, its view of files, and its rights. */

export interface WindowSize {
  columns: number;
  rows: number;
}

/** A program to start instead of the runtime that the fork holds already. */
export interface Program {
  /** The program first: a path, or a name without a slash, which is looked for in `env.PATH`. */
  argv: string[];
  env: Record<string, string>;
  binds: Bind[];
  workingDirectory: string;
  /**
   * The files that the program sees besides its binds: nothing but /dev, /etc, /proc and /tmp, the
   * default; no more than /etc, /tmp and /dev/null, for one that reads whatever path a stranger
   * names, as nothing of it is without end; the programs and libraries of the host, which are in
   * /usr; or a directory that is a root of its own.
   */
  root?: "bare" | "finite" | "usr" | { directory: string };
  /**
   * The system calls that the program may make: `program`, the default, is for one that is known;
   * `command` for any.
   */
  policy?: "program" | "command";
  /** The program's user inside; on the host the user is always one of the sandbox's own. */
  user?: { uid: number; gid: number };
  /** `host` leaves it in the host's network. */
  network?: "none" | "host";
  /** A terminal of the sandbox's own as its standard input, output and error. */
  terminal?: WindowSize;
}

/** A file or directory of the host that a program may see, read-only unless `writable`. */
export interface Bind {
  source: string;
  /** Absolute path inside. */
  target: string;
  kind: "file" | "directory";
  /** Whether programs in it may be started. */
  executable: boolean;
  /**
   * Whether it can be written, as far as its owner and mode allow it to the sandbox's host user.
   */
  writable?: boolean;
}

/** The directories that a shell looks through for a name without a slash, when PATH is not set. */
export const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
