/** The shapes of /v1/backup and /v1/restores. */
import { z } from "zod";

/** An upload, as its client names it. */
export const restoreParam = z.object({
  restore: z.uuid().meta({ description: "A name of the upload, which its client makes up." }),
});

export const partQuery = z.object({
  at: z.coerce.number().int().min(0).meta({ description: "How many bytes of the file came before. 0 begins it anew." }),
});

const flag = z.enum(["0", "1"]).default("0");

export const restoreQuery = z.object({
  replace: flag.meta({ description: "1: what is there goes." }),
  withoutSecrets: flag.meta({
    description: "1: without secrets and the keys that sign URLs; those that are there stay.",
  }),
});

/** How much of the file is there. */
export const uploadedSchema = z.object({ bytes: z.int() }).meta({ id: "Uploaded" });

const count = z.int();

/** The contents of a backup, counted. */
export const restoredSchema = z
  .object({
    header: z.object({
      form: count.meta({ description: "Of the data, where the backup was made." }),
      sandpiper: z.string(),
      createdAt: z.iso.datetime(),
      functions: count.meta({ description: "How many there were when it was begun." }),
    }),
    tenants: z.record(z.string(), z.array(z.string())).meta({ description: "By tenant: its functions." }),
    versions: count,
    secrets: count,
    keys: count,
    artifacts: count,
    artifactBytes: count,
    masterKeys: z.array(z.string()).meta({ description: "Ids of the master keys that its secrets need." }),
    missing: count.meta({ description: "Artefacts that lacked already where the backup was made." }),
  })
  .meta({ id: "Restored" });
export type RestoredInfo = z.output<typeof restoredSchema>;
