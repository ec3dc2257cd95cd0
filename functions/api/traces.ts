/** The shape of a trace in the control API. */
import { z } from "zod";
import { storedSpanSchema } from "../model/span.ts";

/** The spans of one call. */
export const traceSchema = z.object({ spans: z.array(storedSpanSchema) }).meta({ id: "Trace" });
