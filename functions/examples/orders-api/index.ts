/** A JSON API: an order comes in, is checked, and goes out with its total. */
import { ZodError, z } from "zod";
import { type Order, orderSchema, totalCents } from "./order.ts";
import prices from "./prices.json";

interface Env {
  CURRENCY: string;
}

async function quote(request: Request, env: Env): Promise<Response> {
  const order: Order = orderSchema.parse(await request.json());
  const total = totalCents(order, prices);
  console.log(`an order of ${order.lines.length} lines for ${order.customer}: ${total} cents`);
  return Response.json({ customer: order.customer, totalCents: total, currency: env.CURRENCY }, { status: 201 });
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    if (request.method === "GET") return Response.json({ prices, currency: env.CURRENCY });
    if (request.method !== "POST") return new Response(null, { status: 405, headers: { allow: "GET, POST" } });
    try {
      return await quote(request, env);
    } catch (error) {
      if (error instanceof ZodError) return Response.json({ error: z.flattenError(error) }, { status: 422 });
      if (error instanceof SyntaxError) return Response.json({ error: "the body is not JSON" }, { status: 400 });
      throw error;
    }
  },
};
