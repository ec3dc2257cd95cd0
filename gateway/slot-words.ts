/** Words between gateways about slots: calls in course elsewhere, and what is kept. */
import type { Redis } from "ioredis";
import { reservedOf } from "../functions/model/provisions/reserved.ts";
import { readProvisions } from "../functions/store/provisions/provisions.ts";
import { exchangeSlots } from "../functions/transport/slot-exchange.ts";
import type { Holdings } from "../infra/std/fair-share.ts";
import type { ElsewhereAndReserved } from "./call/function-limits.ts";

/** As `exchangeSlots`, with the slots that functions ask for. */
export async function exchangeSlotWords(
  redis: Redis,
  gatewayId: string,
  own: Holdings | null,
  functions: Holdings | null,
): Promise<ElsewhereAndReserved> {
  const both = [exchangeSlots(redis, gatewayId, own, functions), readProvisions(redis)] as const;
  const [elsewhere, provisions] = await Promise.all(both);
  return { ...elsewhere, reserved: reservedOf(provisions) };
}
