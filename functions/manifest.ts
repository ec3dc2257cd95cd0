/** The configuration of a function as `sandpiper.jsonc` gives it: schema, defaults and limits. */
import { z } from "zod";

/** Memory classes: V8's heap limit is fixed when a process starts, so each class has a zygote of its own. */
export const MEMORY_CLASSES_MIB = [64, 128, 256, 512, 1024, 2048] as const;

/** A function's or tenant's name: it is part of URLs and of Redis keys, so nothing else may pass. */
export const NAME_PATTERN = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

export const functionConfigSchema = z.strictObject({
  $schema: z.string().optional(),
  name: z.string().regex(NAME_PATTERN, "1 to 63 of a-z, 0-9 and '-', neither first nor last a '-'"),
  entry: z.string().min(1).max(512).default("index.ts"),
  memoryMiB: z.literal(MEMORY_CLASSES_MIB).default(128),
  timeoutMs: z.int().min(1).max(900_000).default(10_000),
  env: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string().max(32_768)).default({}),
});

/** Everything that is configured of a function, defaults filled in. */
export type FunctionConfig = Omit<z.output<typeof functionConfigSchema>, "$schema">;
