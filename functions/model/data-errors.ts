/** Failures of the data as a whole, its backups and restores: a part of the table of errors. */
import type { ErrorEntry } from "./error-entry.ts";

export const DATA_ERRORS = {
  DATA_TOO_NEW: {
    status: 503,
    message: "The data has the form of a newer Sandpiper.",
    fix: "Start the newer Sandpiper, or restore a backup of before into an empty one. A gateway or worker that is started on such data ends with exit code 78; one that runs changes nothing any more.",
  },
  BACKUP_INVALID: {
    status: 400,
    message: "The file is no whole backup.",
    fix: "Take another file: this one was cut or changed, or something else wrote it. Nothing was restored.",
  },
  BACKUP_RUNNING: {
    status: 409,
    message: "A backup is being made.",
    fix: "Wait until that is done, then ask again.",
  },
  RESTORE_RUNNING: {
    status: 503,
    message: "A backup is being restored: nothing is changed meanwhile.",
    fix: "Ask again after `retry-after`. A restore that broke off counts for a minute.",
  },
  RESTORE_REFUSED: {
    status: 409,
    message: "There is something already that the restore would replace.",
    fix: "Restore into an empty Sandpiper, or replace what the message names: `sandpiper restore --replace`.",
  },
  RESTORE_NOT_FOUND: {
    status: 404,
    message: "There is no upload of that name.",
    fix: "Send the file again from its beginning: `sandpiper restore` does so.",
  },
  MASTER_KEY_MISSING: {
    status: 409,
    message: "Secrets of the backup are sealed with a master key that is not given here.",
    fix: "Add the key that the message names to the master keys of all gateways and workers, in a line below the first, and restart them; or go on without: `sandpiper restore --without-secrets`.",
  },
} as const satisfies Record<string, ErrorEntry>;
