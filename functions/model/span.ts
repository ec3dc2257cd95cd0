/** A span of a call, as it is kept and shown. */
import { z } from "zod";

const plainValue = z.union([z.string(), z.number(), z.boolean()]);

/** A finished span, as plain JSON. */
export const storedSpanSchema = z.object({
  /** 32 lower-case hex digits. */
  traceId: z.string(),
  /** 16 lower-case hex digits. */
  spanId: z.string(),
  parentSpanId: z.string().optional(),
  name: z.string(),
  kind: z.enum(["internal", "server", "client", "producer", "consumer"]),
  /** The kind of process that made it: "gateway" or "worker". */
  service: z.string(),
  /** Tells processes of one service apart. */
  instanceId: z.string().optional(),
  /** Unix time in milliseconds, with a fraction. */
  startMs: z.number(),
  endMs: z.number(),
  status: z.enum(["unset", "ok", "error"]),
  statusMessage: z.string().optional(),
  attributes: z.record(z.string(), z.union([plainValue, z.array(plainValue)])),
});
export type StoredSpan = z.output<typeof storedSpanSchema>;
