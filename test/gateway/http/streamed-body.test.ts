/** Bodies that go on to a worker while their client sends them. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, type ClientRequest, type IncomingMessage, request } from "node:http";
import { after, afterEach, before, describe, it } from "node:test";
import type { Invocation } from "../../../functions/model/invocation.ts";
import type { BodyStream } from "../../../functions/transport/body-stream.ts";
import { eventually } from "../../helpers/eventually.ts";
import { startTestGateway, type TestGateway } from "../../helpers/gateway.ts";

const MIB = 1024 * 1024;
const MAX_BYTES = 8 * MIB;

let test: TestGateway;
before(async () => {
  test = await startTestGateway({ maxBodyBytes: MAX_BYTES });
  test.answer = (invocation) => {
    test.bodies.meet(invocation.replyTo);
    return {};
  };
  await eventually(async () => {
    await fetch(`${test.url}/fn/main/hello/`);
    return test.bodies.connections === 1;
  });
});
/** Ends the calls that a test left without an answer: the worker's side waits for them. */
const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});
after(() => test.stop());

interface Upload {
  sent: ClientRequest;
  answer: Promise<IncomingMessage>;
  invocation: Invocation;
  body: BodyStream;
  /** Has the worker's side answer. */
  reply: (text: string) => void;
}

/** A request of which a part was sent, and the call that it became. */
async function upload(first: Buffer, options: { length?: number; agent?: Agent } = {}): Promise<Upload> {
  const called = Promise.withResolvers<Pick<Upload, "invocation" | "body">>();
  const replied = Promise.withResolvers<string>();
  ends.push(() => replied.resolve(""));
  test.answer = async (invocation) => {
    const { body } = invocation.request;
    assert.ok(body !== null && "ticket" in body);
    called.resolve({ invocation, body: await test.bodies.fetch(invocation.replyTo, invocation.id, body.ticket) });
    return { body: Buffer.from(await replied.promise) };
  };
  const headers = options.length === undefined ? {} : { "content-length": options.length };
  const { agent } = options;
  const sent = request(`${test.url}/fn/main/hello/`, { method: "POST", headers, ...(agent && { agent }) });
  const answer = once(sent, "response").then(([response]) => response as IncomingMessage);
  for (const promise of [answer, called.promise]) promise.catch(() => {});
  sent.on("error", () => {});
  sent.write(first);
  return { sent, answer, ...(await called.promise), reply: replied.resolve };
}

async function textOf(answer: IncomingMessage): Promise<string> {
  let text = "";
  for await (const piece of answer) text += String(piece);
  return text;
}

describe("a body that arrives", () => {
  it("is given to a worker before all of it is there", async () => {
    for (const length of [undefined, MIB + 3]) {
      const { sent, answer, invocation, body, reply } = await upload(
        Buffer.alloc(MIB),
        length === undefined ? {} : { length },
      );
      const { body: inJob } = invocation.request;
      assert.equal(inJob !== null && "bytes" in inJob && inJob.bytes, length ?? null);
      for (let bytes = 0; bytes < MIB; ) bytes += (await body.next())?.length ?? 0;
      sent.end("end");
      assert.deepEqual([String(await body.next()), await body.next(), body.bytes], ["end", null, MIB + 3]);
      reply("taken");
      assert.equal(await textOf(await answer), "taken");
    }
    assert.deepEqual(await test.connection.keys("sp:body:*"), []);
  });

  it("in the smallest pieces arrives as it was", async () => {
    const { sent, answer, body, reply } = await upload(Buffer.alloc(40_000, "x"));
    for (let count = 0; count < 2_000; count++) sent.write(String(count % 10));
    sent.end();
    const all = await body.all();
    assert.equal(all.toString("latin1", 40_000), "0123456789".repeat(200));
    reply("");
    assert.equal(await textOf(await answer), "");
  });

  it("is not read further than its worker reads, and its client waits", async () => {
    const { sent, answer, body, reply } = await upload(Buffer.alloc(100_000), { length: MAX_BYTES });
    sent.end(Buffer.alloc(MAX_BYTES - 100_000));
    const { socket } = sent;
    await eventually(() => body.bytes === 256 * 1024);
    const before = socket?.bytesWritten;
    assert.equal(body.bytes, 256 * 1024);
    assert.ok((socket?.writableLength ?? 0) > 0, `${before} bytes were taken`);
    assert.equal((await body.all()).length, MAX_BYTES);
    reply("late");
    assert.equal(await textOf(await answer), "late");
  });

  it("is gone when its client leaves, and its call is cancelled", async () => {
    const { sent, body } = await upload(Buffer.alloc(100_000), { length: MAX_BYTES });
    const gone = Promise.withResolvers<string>();
    body.whenLost(gone.resolve);
    sent.destroy();
    assert.equal(await gone.promise, "gone");
    await eventually(() => test.accessed.some((line) => line.includes("CLIENT_GONE")));
  });

  it("ends when it is too large, with the client told", async () => {
    const { sent, answer, body } = await upload(Buffer.alloc(100_000));
    const gone = Promise.withResolvers<string>();
    body.whenLost(gone.resolve);
    sent.write(Buffer.alloc(MAX_BYTES));
    const all = body.all().catch(() => null);
    assert.equal((await answer).statusCode, 413);
    assert.match(await textOf(await answer), /BODY_TOO_LARGE/);
    assert.deepEqual([await gone.promise, await all], ["gone", null]);
  });

  it("is dropped when the worker wants no more, and the client's connection serves the next", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const { sent, answer, body, reply } = await upload(Buffer.alloc(100_000), { length: MAX_BYTES, agent });
    reply("early");
    assert.equal(await textOf(await answer), "early");
    body.cancel();
    sent.end(Buffer.alloc(MAX_BYTES - 100_000));
    await once(sent, "close");
    test.answer = () => ({ body: Buffer.from("next") });
    const next = request(`${test.url}/fn/main/hello/`, { agent }).end();
    const [response] = (await once(next, "response")) as [IncomingMessage];
    assert.equal(await textOf(response), "next");
    assert.ok(next.reusedSocket);
    agent.destroy();
  });
});

describe("a body that no worker asks for", () => {
  it("is dropped with the answer to its call", async () => {
    test.answer = () => ({ body: Buffer.from("unread") });
    for (const bytes of [100_000, MAX_BYTES]) {
      const response = await fetch(`${test.url}/fn/main/hello/`, { method: "POST", body: Buffer.alloc(bytes) });
      assert.equal(await response.text(), "unread");
    }
  });

  it("keeps no call whose client leaves", async () => {
    test.slots = 0;
    const sent = request(`${test.url}/fn/main/hello/`, { method: "POST", headers: { "content-length": MAX_BYTES } });
    sent.on("error", () => {}).write(Buffer.alloc(MIB));
    const before = test.accessed.length;
    await eventually(async () => (await test.connection.llen("sp:queue:calls:wait")) > 0);
    sent.destroy();
    await eventually(() => test.accessed.length > before);
    test.slots = 100;
    test.worker.slotsChanged();
  });
});
