/** An example of docs/EGRESS.md, with the server that it is run against. */

/** Where a server is to serve, and what it has for that. */
export interface Place {
  /** An address of loopback that is this server's alone. */
  address: string;
  /** An empty directory. */
  directory: string;
  /** Paths of PEM files; the certificate is valid for the names of all examples. */
  tls: { key: string; cert: string };
  /** A package of the example's, by its name. */
  load(name: string): unknown;
}

export interface RunningServer {
  stop(): unknown;
  /** @throws AssertionError unless the server saw, at the end, what it was to see. */
  check?(): void;
}

export interface ClientExample {
  name: string;
  /** In docs/EGRESS.md. */
  title: string;
  /** npm's names and versions, of client and server. */
  packages: readonly string[];
  /** Names that lead to the server. */
  hosts: readonly string[];
  secrets: Readonly<Record<string, string>>;
  /** Why there is no such server on this machine, or null. */
  missing?(): string | null;
  start(place: Place): Promise<RunningServer>;
  /** The answers of the calls, one after another. */
  answers: readonly string[];
}
