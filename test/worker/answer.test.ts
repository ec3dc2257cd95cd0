import assert from "node:assert/strict";
import { it } from "node:test";
import type { Reply } from "../../functions/invocation.ts";
import type { Head } from "../../sandbox-core/protocol/frames.ts";
import { Answer } from "../../worker/answer.ts";
import { CallFailure } from "../../worker/outcome.ts";
import { newInvocation } from "../helpers/invocations.ts";

const HEAD: Head = {
  type: "head",
  call: 1,
  status: 200,
  headers: [],
  streaming: false,
  last: true,
  body: Buffer.alloc(0),
};

/** The heads that a gateway gets of a call. */
function headsOf(dealings: (answer: Answer) => void): (string | undefined)[] {
  const sent: Reply[] = [];
  const limits = { maxReplyBytes: 100, maxStreamBytes: 100 };
  dealings(new Answer(newInvocation(), { limits, sendReply: (_gateway, reply) => void sent.push(reply) }));
  return sent.flatMap((reply) => (reply.kind === "head" ? [reply.statusText] : []));
}

it("passes on the function's reason phrase with its reply, and with no other", () => {
  const fine = { ...HEAD, statusText: "Fine" };
  const whole = (head: Head) =>
    headsOf((answer) => {
      answer.head(head);
      answer.finish(null);
    });
  assert.deepEqual(whole(fine), ["Fine"]);
  assert.deepEqual(whole({ ...fine, streaming: true, last: false }), ["Fine"]);
  assert.deepEqual(whole(HEAD), [undefined]);
  const failed = headsOf((answer) => {
    answer.head({ ...fine, last: false });
    answer.fail(new CallFailure("timeout", "TIMEOUT"));
  });
  assert.deepEqual(failed, [undefined]);
});
