/**
 * Records of calls, as they are kept and as the API shows them: how each ended, and what was logged
 * meanwhile.
 */
import { z } from "zod";

/**
 * How an invocation ended: a closed set. `cancelled`: its client left before the answer was
 * complete.
 */
const outcomeSchema = z
  .enum(["ok", "function_error", "timeout", "out_of_memory", "killed", "cancelled", "platform_error"])
  .meta({ id: "Outcome" });
export type Outcome = z.output<typeof outcomeSchema>;

/**
 * How an instance was come by: `cold` made a sandbox, `prewarmed` loaded a blank one, `forked` is a
 * copy of one that was slow to load, `warm` was there already.
 */
const startKindSchema = z.enum(["cold", "prewarmed", "forked", "warm"]);
export type StartKind = z.output<typeof startKindSchema>;

/** Where the time of a call went, in milliseconds. */
const callTimingSchema = z.object({
  queueMs: z.number(),
  /** Getting a sandbox, or a copy in one: 0 for a warm instance. */
  sandboxMs: z.number(),
  /** Loading the version into it: 0 for a warm instance and a copy. */
  initMs: z.number(),
  handlerMs: z.number(),
});
export type CallTiming = z.output<typeof callTimingSchema>;

/** An error as a client may see it: a code of errors.ts and a sentence, never a stack trace. */
const publicErrorSchema = z.object({ code: z.string(), message: z.string() });
export type PublicError = z.output<typeof publicErrorSchema>;

/** One outgoing connection of a call, or a lookup or a request of one that was refused. */
const connectionRecordSchema = z
  .object({
    host: z.string().meta({
      description: "The name that was connected to, or the address where no name was looked up; any text when refused.",
    }),
    port: z.int().optional().meta({ description: "Absent for a lookup." }),
    address: z.string().optional().meta({ description: "The address that was dialled." }),
    bytesUp: z.number(),
    bytesDown: z.number(),
    startedAtMs: z.number(),
    durationMs: z.number(),
    verdict: z.string().meta({
      description:
        "ok; kept: open still when the call ended, with the bytes and the time until then; else why it was refused or cut.",
    }),
  })
  .meta({ id: "InvocationConnection" });
export type ConnectionRecord = z.output<typeof connectionRecordSchema>;

/** Most connections that the record of a call has. */
export const MAX_CONNECTION_RECORDS = 20;

/** The outgoing connections of a call, by their beginning. */
const callEgressSchema = z.object({
  connections: z.array(connectionRecordSchema),
  more: z.int().meta({ description: `How many there were beyond the first ${MAX_CONNECTION_RECORDS} that ended.` }),
});
export type CallEgress = z.output<typeof callEgressSchema>;

/**
 * The record of a call: at most one for each invocation, and the last record of its log when a
 * worker had it. Calls that no worker had are recorded by their gateway.
 */
export const invocationRecordSchema = z
  .object({
    id: z.string(),
    tenant: z.string(),
    functionName: z.string(),
    version: z.string().meta({ description: "Empty when the call was refused before its version was looked up." }),
    outcome: outcomeSchema,
    error: publicErrorSchema.optional(),
    status: z.int(),
    ran: z.enum(["yes", "no", "unknown"]).optional().meta({
      description:
        "Whether the function's handler began. unknown: the worker that had the call is gone, or nobody answered.",
    }),
    start: startKindSchema.optional().meta({ description: "Absent when no handler began." }),
    timing: callTimingSchema,
    cpuMs: z.number(),
    peakMemoryBytes: z.number(),
    startedAtMs: z.number(),
    endedAtMs: z.number(),
    traceId: z.string().optional(),
    egress: callEgressSchema.optional().meta({ description: "Absent when the call had no outgoing connection." }),
  })
  .meta({ id: "Invocation" });
export type InvocationRecord = z.output<typeof invocationRecordSchema>;

/**
 * One line of a function's log. Text is as the function wrote it, cut to a limit: escape it before
 * a terminal sees it.
 */
const logRecordSchema = z.object({
  invocationId: z.string().nullable(),
  timeMs: z.number(),
  level: z.enum(["debug", "info", "warn", "error"]),
  /**
   * console: console.*; stdout, stderr: written straight to the descriptors; platform: said by
   * Sandpiper.
   */
  source: z.enum(["console", "stdout", "stderr", "platform"]),
  text: z.string(),
});
export type LogRecord = z.output<typeof logRecordSchema>;

/** One entry of a function's log: a line that was written, or the end of a call. */
export const logEntrySchema = z.union([z.object({ end: invocationRecordSchema }), logRecordSchema]);
export type LogEntry = z.output<typeof logEntrySchema>;
