/** The shapes of /v1/usage: what functions used, by the hour. */
import { z } from "zod";
import { tenantParam } from "./egress.ts";
import { timeSchema } from "./schemas.ts";

/** The usage that is wanted. */
export const usageQuery = z.object({
  tenant: tenantParam.shape.tenant.optional().meta({
    description: "For the operator: of whom. Without it operators see all tenants, others their own.",
  }),
  function: z.string().max(128).optional().meta({ description: "Only of this function, which may be deleted." }),
  from: timeSchema.optional().meta({ description: "From the hour with this time on; else of the last 24 hours." }),
  to: timeSchema.optional().meta({ description: "Until the hour with this time, which is left out when it begins." }),
});
/** The query as a URL has it. */
export type UsageQuery = Partial<Record<keyof z.output<typeof usageQuery>, string>>;

/** The use that a function made of the machine in an hour. */
const hourUsageSchema = z
  .object({
    tenant: z.string(),
    function: z.string(),
    hour: z.iso.datetime().meta({ description: "When the hour begins, in UTC." }),
    calls: z.int().meta({ description: "Calls whose handler began, whatever their outcome." }),
    cpuMs: z.number().meta({ description: "Processor time, by the kernel's count." }),
    memoryMibSeconds: z.number().meta({ description: "Most memory of the call's sandbox times the time of the call." }),
    bytesIn: z.int().meta({ description: "Bytes of requests' bodies." }),
    bytesOut: z.int().meta({ description: "Bytes of replies' bodies." }),
  })
  .meta({ id: "HourUsage" });
export type HourUsageInfo = z.output<typeof hourUsageSchema>;

/** Usage by hour, tenant and function, in this order. */
export const usageListSchema = z
  .object({ from: z.iso.datetime(), to: z.iso.datetime(), usage: z.array(hourUsageSchema) })
  .meta({ id: "UsageList" });
