import assert from "node:assert/strict";
import { it } from "node:test";
import type { Reply } from "../../../functions/model/invocation.ts";
import type { Head } from "../../../sandbox-core/protocol/frames.ts";
import { CallFailure } from "../../../worker/outcome/outcome.ts";
import { CallReply } from "../../../worker/path/reply.ts";
import { newInvocation } from "../../helpers/invocations.ts";

const HEAD: Head = {
  type: "head",
  call: 1,
  status: 200,
  headers: [],
  streaming: false,
  last: true,
  body: Buffer.alloc(0),
};

const LIMITS = { maxReplyBytes: 10_000_000, maxStreamBytes: 10_000_000 };

/** What a gateway gets of a call, and the answer, which has a head by now. */
function answering(head: Partial<Head>): { answer: CallReply; sent: Reply[] } {
  const sent: Reply[] = [];
  const answer = new CallReply(newInvocation(), {
    limits: LIMITS,
    sendReply: (_gateway, reply) => void sent.push(reply),
  });
  answer.head({ ...HEAD, last: false, ...head });
  return { answer, sent };
}

const shown = (sent: Reply[]) =>
  sent.map((reply) => (reply.kind === "end" ? "end" : Buffer.concat([reply.body, ...(reply.more ?? [])]).toString()));

/** The heads that a gateway gets of a call. */
function headsOf(dealings: (answer: CallReply) => void): (string | undefined)[] {
  const sent: Reply[] = [];
  const limits = { maxReplyBytes: 100, maxStreamBytes: 100 };
  dealings(new CallReply(newInvocation(), { limits, sendReply: (_gateway, reply) => void sent.push(reply) }));
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

it("passes the pieces of a stream on together that came together, before its end", async () => {
  const { answer, sent } = answering({ streaming: true });
  for (const piece of ["a", "", "b", "c"]) answer.chunk(Buffer.from(piece));
  assert.deepEqual(shown(sent), [""]);
  await Promise.resolve();
  await new Promise((done) => process.nextTick(done));
  assert.deepEqual(shown(sent), ["", "abc"]);
  answer.chunk(Buffer.from("d"));
  answer.finish(null);
  await new Promise((done) => process.nextTick(done));
  assert.deepEqual(shown(sent), ["", "abc", "d", "end"]);
});

it("passes on what came before a stream broke off, but only the end to a client that left", async () => {
  for (const [failure, expected] of [
    [new CallFailure("timeout", "TIMEOUT"), ["", "a", "end"]],
    [new CallFailure("cancelled", "CLIENT_GONE"), ["", "end"]],
  ] as const) {
    const { answer, sent } = answering({ streaming: true });
    answer.chunk(Buffer.from("a"));
    answer.fail(failure);
    await new Promise((done) => process.nextTick(done));
    assert.deepEqual(shown(sent), expected);
  }
});

it("keeps no views of a reply's short pieces, each of which would keep all that was read with it", () => {
  const { answer, sent } = answering({});
  const read = Buffer.from("abcdefgh");
  for (let at = 0; at < read.length; at++) answer.chunk(read.subarray(at, at + 1));
  const long = Buffer.alloc(5_000, "l");
  for (let times = 0; times < 5; times++) answer.chunk(long);
  for (let times = 0; times < 20_000; times++) answer.chunk(Buffer.from("s"));
  read.fill("-");
  answer.finish(null);
  assert.deepEqual(shown(sent), [`-bcdefgh${"l".repeat(25_000)}${"s".repeat(20_000)}`]);
});
