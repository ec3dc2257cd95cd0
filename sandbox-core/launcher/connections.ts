/** The connections of a sandbox to its worker, by what runs in it. */
import type { Connection } from "../protocol/control.ts";

/** The wire alone: what a probe has. */
export const WIRE_ONLY: Connection[] = [{ name: "wire", fds: [1, 2, 3] }];

/** The wire, and one socket for what is written straight to descriptors 1 and 2. */
export const RUNTIME_CONNECTIONS: Connection[] = [
  { name: "wire", fds: [3] },
  { name: "stdio", fds: [1, 2] },
];
