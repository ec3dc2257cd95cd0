/** A span of a call, as it is kept and shown. */

/** A finished span, as plain JSON. */
export interface StoredSpan {
  /** 32 lower-case hex digits. */
  traceId: string;
  /** 16 lower-case hex digits. */
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: "internal" | "server" | "client" | "producer" | "consumer";
  /** Which process made it: "gateway" or "worker". */
  service: string;
  /** Unix time in milliseconds, with a fraction. */
  startMs: number;
  endMs: number;
  status: "unset" | "ok" | "error";
  statusMessage?: string;
  attributes: Record<string, string | number | boolean | (string | number | boolean)[]>;
}
