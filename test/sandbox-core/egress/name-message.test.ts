/** Questions for names: what is understood, what is refused, and that nothing hostile breaks it. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { answerAddress, answerNothing, RCODE, readQuestion } from "../../../sandbox-core/egress/name-message.ts";

function question(name: string, { type = 1, kind = 1, flags = 0x0100, count = 1 } = {}): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0x1234, 0);
  head.writeUInt16BE(flags, 2);
  head.writeUInt16BE(count, 4);
  const labels = name === "" ? [] : name.split(".");
  const encoded = labels.flatMap((label) => [Buffer.from([label.length]), Buffer.from(label, "latin1")]);
  const tail = Buffer.alloc(5);
  tail.writeUInt16BE(type, 1);
  tail.writeUInt16BE(kind, 3);
  return Buffer.concat([head, ...encoded, tail]);
}

const codeOf = (answer: Buffer) => answer.readUInt16BE(2) & 0xf;

test("a question is read in lower case, and its answer repeats it with one address", () => {
  const asked = question("API.Example.com");
  const read = readQuestion(asked);
  assert.ok(read && "name" in read);
  assert.equal(read.name, "api.example.com");
  assert.equal(read.wantsAddress, true);
  const answer = answerAddress(read, Uint8Array.of(198, 18, 0, 7), 60);
  assert.equal(answer.readUInt16BE(0), 0x1234);
  // A response, recursion wished and to be had, no error; one question, one answer.
  assert.equal(answer.readUInt16BE(2), 0x8180);
  assert.deepEqual([answer.readUInt16BE(4), answer.readUInt16BE(6)], [1, 1]);
  assert.ok(answer.includes(asked.subarray(12)));
  assert.deepEqual([...answer.subarray(-4)], [198, 18, 0, 7]);
  assert.equal(codeOf(answerNothing(read, RCODE.NO_SUCH_NAME)), 3);
});

test("other types have names and want no address", () => {
  for (const type of [28, 65, 16, 255]) {
    const read = readQuestion(question("a.example", { type }));
    assert.ok(read && "name" in read && !read.wantsAddress, String(type));
  }
});

test("what is no question is answered with an error, and what is an answer not at all", () => {
  const cases: [Buffer, number | null][] = [
    [question("a", { flags: 0x8180 }), null],
    [Buffer.alloc(11), null],
    [question("a", { flags: 0x2800 }), RCODE.NOT_IMPLEMENTED],
    [question("a", { kind: 3 }), RCODE.NOT_IMPLEMENTED],
    [question("a", { count: 0 }), RCODE.FORMAT],
    [question("a", { count: 2 }), RCODE.FORMAT],
    [question("a").subarray(0, -1), RCODE.FORMAT],
    [question("a\0b.example"), RCODE.FORMAT],
    [question("a b.example"), RCODE.FORMAT],
    [question(Array(5).fill("a".repeat(60)).join(".")), RCODE.FORMAT],
    // A pointer to itself.
    [Buffer.concat([question("a").subarray(0, 12), Buffer.from([0xc0, 0x0c, 0, 1, 0, 1])]), RCODE.FORMAT],
  ];
  for (const [message, code] of cases) {
    const read = readQuestion(message);
    if (code === null) assert.equal(read, null);
    else {
      assert.ok(read && "refusal" in read, message.toString("hex"));
      assert.equal(codeOf(read.refusal), code, message.toString("hex"));
    }
  }
});

test("the longest name is read, and one byte more is not", () => {
  const longest = [...Array(3).fill("a".repeat(63)), "b".repeat(61)].join(".");
  assert.equal(longest.length, 253);
  assert.ok("name" in (readQuestion(question(longest)) ?? {}));
  assert.ok("refusal" in (readQuestion(question(`${longest}b`)) ?? {}));
});

test("fuzz: no message breaks it, and none is answered with more than it asked for", () => {
  const seeds = [question("api.example.com"), question("x.y", { type: 28 }), question("")];
  for (let round = 0; round < 20_000; round++) {
    const seed = seeds[round % seeds.length] as Buffer;
    const message = round % 5 === 0 ? randomBytes(round % 600) : Buffer.from(seed);
    for (let changes = round % 4; changes > 0 && message.length > 0; changes--)
      message[randomBytes(2).readUInt16LE() % message.length] = randomBytes(1)[0] as number;
    const read = readQuestion(message);
    if (read === null) continue;
    const answer = "refusal" in read ? read.refusal : answerAddress(read, Uint8Array.of(198, 18, 0, 1), 1);
    assert.ok(answer.length <= Math.max(message.length, 12) + 16);
    if ("name" in read) assert.match(read.name, /^[a-z0-9_.-]{0,253}$/);
  }
});
