/**
 * The connection under a request and a response of Node's: a stream in this process, as there is no
 * socket. What a function writes to its response comes out here.
 */
import { Duplex } from "node:stream";
import type { HandlerCall } from "../handler.ts";
import type { WrittenReply } from "../written-reply.ts";

type Done = (error?: Error | null) => void;

// Captured before tenant code.
const { from } = Buffer;

/** A socket, as far as functions and packages ask one for more than any stream has. */
export interface Connection extends Duplex {
  readonly remoteAddress: string;
  readonly encrypted: boolean;
}

/** A connection whose bytes become the reply. Destroyed by the function, the reply breaks off. */
export function connectionOf({ request }: HandlerCall, reply: WrittenReply): Connection {
  const duplex = new Duplex({
    decodeStrings: false,
    read() {},
    // A buffer is the writer's again once this is done; a text is a buffer of its own.
    write(chunk: string | Uint8Array, encoding, done: Done) {
      reply.write(typeof chunk === "string" ? from(chunk, encoding) : from(chunk), () => done());
    },
    final(done: Done) {
      reply.end();
      done();
    },
    destroy(error, done) {
      if (!reply.isOver) reply.fail(error ?? new Error("The function ended the connection before its response."));
      done(error);
    },
  });
  const remoteFamily = request.remoteAddress.includes(":") ? "IPv6" : "IPv4";
  const known = { remoteAddress: request.remoteAddress, remoteFamily, encrypted: request.url.startsWith("https:") };
  const same = () => duplex;
  const ignored = { setTimeout: same, setKeepAlive: same, setNoDelay: same, ref: same, unref: same };
  return Object.assign(duplex, known, ignored, { address: () => ({}), destroySoon: () => duplex.end() }) as Connection;
}
