import { z } from "zod";

/** What an order must look like. */
export const orderSchema = z.object({
  customer: z.string().min(1).max(100),
  lines: z
    .array(z.object({ item: z.enum(["tea", "coffee", "cake"]), count: z.int().min(1).max(99) }))
    .min(1)
    .max(50),
});

export type Order = z.infer<typeof orderSchema>;

/** The price of all lines, in cents. */
export function totalCents(order: Order, prices: Record<Order["lines"][number]["item"], number>): number {
  return order.lines.reduce((sum, { item, count }) => sum + prices[item] * count, 0);
}
