/** How replies look on their way, and where they go. */

import type { Reply } from "../model/invocation.ts";

export const SENDER_BYTES = 8;

export const HEADER_BYTES = SENDER_BYTES + 6;

/** How many gateways a sender knows, and how many senders a gateway. */
export const MAX_PEERS = 1_000;

export const channelOf = (gatewayId: string): string => `sp:reply:${gatewayId}`;

export const takenKey = (sender: string, gatewayId: string): string => `sp:taken:${sender}:${gatewayId}`;

/** The head of a frame: a reply without its body, or with the key of it. */
export type FrameHead = Omit<Reply, "body"> & { bodyKey?: string };
