/** The way of a request's body into a sandbox, piece by piece as it comes. */
import { BodyStream } from "../../functions/transport/body-stream.ts";
import { encodeBodyEnd, encodeBodyLost, encodeLongBody } from "../../sandbox-core/protocol/frames.ts";
import type { Call } from "./call.ts";
import type { WireEnd } from "./wire.ts";

/**
 * Sends a request, and behind it a body that is still coming, no faster than the sandbox reads. The
 * sandbox hears in each case that nothing more comes, and whether what came is all of it.
 */
export function sendRequest({ number, input: { body } }: Call, frames: Uint8Array[], wire: WireEnd): void {
  wire.send(frames);
  if (body instanceof BodyStream) void passBody(body, number, wire);
}

/** Never rejects. */
async function passBody(body: BodyStream, number: number, wire: WireEnd): Promise<void> {
  const isWhole = await passPieces(body, number, wire).catch(() => false);
  body.cancel();
  wire.send([isWhole ? encodeBodyEnd(number) : encodeBodyLost(number)]);
}

/** Whether all of it was sent. @throws BodyLostError */
async function passPieces(body: BodyStream, number: number, wire: WireEnd): Promise<boolean> {
  for (;;) {
    const piece = await body.next();
    if (piece === null) return body.isWhole;
    wire.send(encodeLongBody(number, piece));
    await wire.drained();
  }
}
