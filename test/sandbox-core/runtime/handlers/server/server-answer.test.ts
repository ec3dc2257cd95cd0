/** Answers of HTTP/1.1 as they come over a connection: in pieces of any size. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { AnswerReader } from "../../../../../sandbox-core/runtime/handlers/server/server-answer.ts";

interface Heard {
  heads: [status: number, reason: string, headers: string[][]][];
  body: string;
  isDone: boolean;
  mayFollow: boolean;
}

/** What is heard of an answer that comes in pieces of this size. */
function hear(bytes: Buffer, size: number, { method = "GET", closes = false } = {}): Heard {
  const heard: Heard = { heads: [], body: "", isDone: false, mayFollow: false };
  const reader = new AnswerReader(method, {
    head: ({ status, reason, headers }) => heard.heads.push([status, reason, headers]),
    body: (piece) => {
      heard.body += Buffer.from(piece).toString("latin1");
    },
  });
  for (let at = 0; at < bytes.length; at += size) reader.push(bytes.subarray(at, at + size));
  if (closes) reader.close();
  heard.isDone = reader.isDone;
  heard.mayFollow = reader.mayFollow;
  return heard;
}

/** Hears the same whatever the size of the pieces. */
function hearInPieces(text: string, options: Parameters<typeof hear>[2] = {}): Heard {
  const bytes = Buffer.from(text, "latin1");
  const whole = hear(bytes, bytes.length, options);
  for (let size = 1; size < Math.min(bytes.length, 40); size++)
    assert.deepEqual(hear(bytes, size, options), whole, `pieces of ${size}`);
  return whole;
}

test("a body with a length", () => {
  const heard = hearInPieces("HTTP/1.1 200 OK\r\nX-A:  \xe4 \r\nContent-Length: 4\r\n\r\n\r\n\r\n");
  assert.deepEqual(heard, {
    heads: [
      [
        200,
        "OK",
        [
          ["x-a", "\xe4"],
          ["content-length", "4"],
        ],
      ],
    ],
    body: "\r\n\r\n",
    isDone: true,
    mayFollow: true,
  });
});

test("a body in chunks, with extensions and trailers", () => {
  const heard = hearInPieces(
    "HTTP/1.1 200\r\ntransfer-encoding: Chunked\r\ncontent-length: 1\r\n\r\n3;a=b\r\n\r\na\r\n0A \r\n0123456789\r\n0\r\nx-sum: 1\r\n\r\n",
  );
  assert.deepEqual(heard, { heads: [[200, "", []]], body: "\r\na0123456789", isDone: true, mayFollow: true });
});

test("interim answers go before the answer and are nobody's", () => {
  const heard = hearInPieces(
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
  );
  assert.deepEqual(heard, { heads: [[204, "No Content", []]], body: "", isDone: true, mayFollow: true });
});

test("answers that have no body, whatever their fields say", () => {
  for (const [status, method] of [
    [200, "HEAD"],
    [204, "GET"],
    [304, "GET"],
  ] as const) {
    for (const field of ["content-length: 5", "transfer-encoding: chunked", "x-a: b"]) {
      const { isDone, body, mayFollow } = hearInPieces(`HTTP/1.1 ${status} X\r\n${field}\r\n\r\n`, { method });
      assert.deepEqual([isDone, body, mayFollow], [true, "", true], `${method} ${status} ${field}`);
    }
  }
});

test("a body without a length ends with the connection", () => {
  const heard = hearInPieces("HTTP/1.1 200 OK\r\n\r\nall of it", { closes: true });
  assert.deepEqual([heard.body, heard.isDone, heard.mayFollow], ["all of it", true, false]);
});

test("no request follows an old server, one that says so, or one that said more than its answer", () => {
  for (const text of [
    "HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nConnection: x, Close\r\n\r\n",
    "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nmore",
  ]) {
    const { isDone, mayFollow } = hearInPieces(text);
    assert.deepEqual([isDone, mayFollow], [true, false], text);
  }
});

test("what is no answer is refused, however it comes", () => {
  for (const [text, message] of [
    ["SSH-2.0-x\r\n", /not HTTP\/1\.1, and begins with 'S/],
    ["\x15\x03\x01", /not HTTP/],
    ["HTTP/1.1 600 X\r\n\r\n", /not HTTP/],
    ["HTTP/1.1 200 OK\r\n folded\r\n\r\n", /header line ' folded'/],
    ["HTTP/1.1 200 OK\r\n: b\r\n\r\n", /header line ': b'/],
    ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n", /chunks of which one begins with 'x'/],
    ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc\r\n", /chunks of which one begins with 'bc'/],
    [
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n123456789\r\n",
      /chunks of which one begins with '123456789'/,
    ],
    [`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${"0".repeat(20_000)}`, /chunks of which one begins/],
    [`HTTP/1.1 200 OK\r\nx: ${"y".repeat(300_000)}`, /a head of more than/],
  ] as const) {
    for (const size of text.length > 1_000 ? [1_000] : [1_000, 7, 1])
      assert.throws(() => hear(Buffer.from(text, "latin1"), size), message, text.slice(0, 80));
  }
});
