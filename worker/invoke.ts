/** The path of one call through a worker. */
import type { CallContext } from "./path/context.ts";
import { handle } from "./path/handle.ts";
import { acquire, end, fail, findBundle, respond } from "./path/steps.ts";
import { refuseIfOver } from "./pool/waiting-call.ts";

/** Runs a call and answers it. Never rejects; resolves when the call is recorded. */
export async function invoke(call: CallContext): Promise<void> {
  const { spans } = call;
  try {
    refuseIfOver(call);
    const loadable = await spans.step("bundle", (step) => findBundle(call, step));
    const lease = await spans.step("acquire", (step) => acquire(call, loadable, step));
    const { failure, idle } = await spans.step("handler", (step) => handle(call, lease, step));
    await spans.step("respond", (step) => respond(call, failure, step));
    call.usage = await idle;
  } catch (error) {
    await fail(call, error);
  }
  await end(call);
}
