/** The TLS hello at the start of a connection, read and kept for the host that it is for. */
import type { Socket } from "node:net";
import type { EgressRefusal } from "../contract/egress.ts";
import { MOST_HELLO_INPUT, readHello } from "./client-hello.ts";

const HELLO_MS = 10_000;
const FIRST_ROOM = 2_048;

/** `bytes` are all that came, the hello and what follows it. */
export type Hello = { serverName: string | null; bytes: Buffer } | { refusal: EgressRefusal };

/**
 * The hello, in however many pieces it comes; null when the connection ends before it is whole. The
 * socket is paused after it. Never rejects.
 */
export function awaitHello(socket: Socket): Promise<Hello | null> {
  const { promise, resolve } = Promise.withResolvers<Hello | null>();
  let bytes = Buffer.alloc(FIRST_ROOM);
  let length = 0;
  const finish = (hello: Hello | null) => {
    clearTimeout(timer);
    socket.off("data", onData).off("end", onEnd).off("close", onEnd);
    socket.pause();
    resolve(hello);
  };
  const onData = (chunk: Buffer) => {
    bytes = withRoom(bytes, length, chunk.length);
    length += chunk.copy(bytes, length);
    const reading = readHello(bytes.subarray(0, length));
    if (reading.is === "no_tls" || (reading.is === "more" && length > MOST_HELLO_INPUT)) finish({ refusal: "no_tls" });
    else if (reading.is === "hello" && reading.encrypted) finish({ refusal: "encrypted_hello" });
    else if (reading.is === "hello") finish({ serverName: reading.serverName, bytes: bytes.subarray(0, length) });
  };
  const onEnd = () => finish(null);
  const timer = setTimeout(() => finish({ refusal: "slow_hello" }), HELLO_MS);
  socket.on("data", onData).on("end", onEnd).on("close", onEnd);
  socket.resume();
  return promise;
}

function withRoom(bytes: Buffer<ArrayBuffer>, length: number, more: number): Buffer<ArrayBuffer> {
  if (length + more <= bytes.length) return bytes;
  const larger = Buffer.alloc(Math.max(bytes.length * 2, length + more));
  bytes.copy(larger, 0, 0, length);
  return larger;
}
