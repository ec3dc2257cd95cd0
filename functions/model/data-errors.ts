/** Failures of the data as a whole, its backups and restores: a part of the table of errors. */
import type { ErrorEntry } from "./error-entry.ts";

export const DATA_ERRORS = {
  DATA_TOO_NEW: {
    status: 503,
    message: "The data has the form of a newer Sandpiper.",
    fix: "Start the newer Sandpiper, or restore a backup of before into an empty one. A gateway or worker that is started on such data ends with exit code 78; one that runs changes nothing any more.",
  },
} as const satisfies Record<string, ErrorEntry>;
