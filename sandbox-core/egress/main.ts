/**
 * This folder runs in the relay of egress: the one process that has sockets in sandboxes' network
 * namespaces and sockets in the host's. It reads hostile bytes, and as little of them as can be:
 * questions for names, and the first message of TLS. So it is nobody: a user of its own, no
 * capability, no file that it could write, no program that it could start, no secret but what
 * passes through. It ends with its holder, whose control socket ends then.
 *
 *     sandbox ──connects──> a listener in its own network namespace
 *                             │ served by the relay, which was given its descriptor
 *                             └──> the host that was declared, in the host's network
 */
import { Socket } from "node:net";
import { LineReader } from "../protocol/control.ts";
import {
  type Ping,
  type Pong,
  RELAY_CONTROL_FD,
  RELAY_DESCRIPTORS_FD,
  RELAY_MESSAGE_BYTES,
  type RelayOptions,
  type RelayRequest,
  type RelayResponse,
} from "../protocol/egress.ts";
import { RELAY_POLICY } from "../seccomp/relay.ts";
import { sys } from "../syscall/libc.ts";
import { affordable } from "./descriptor-limit.ts";
import { lockIn } from "./lock-in.ts";
import { Relay } from "./relay.ts";

/** A holder that does not read what it is told misses some of it. */
const MOST_UNREAD_BYTES = 4 * 1024 * 1024;
/** A socket for names and `MOST_EGRESS_PORTS` listeners. */
const MOST_DESCRIPTORS = 65;

const wanted = JSON.parse(process.argv[2] ?? "") as RelayOptions;
const options = { ...wanted, connections: affordable(wanted.connections) };
const control = new Socket({ fd: RELAY_CONTROL_FD, readable: true, writable: true });
lockIn(options, RELAY_POLICY);

const relay = new Relay(options, (sandbox, event) => say({ is: "event", sandbox, event }));
const requests = new LineReader<RelayRequest | Ping>();
control.on("data", (chunk: Buffer) => {
  for (const request of requests.push(chunk))
    if (request.op === "ping") say({ is: "pong" });
    else if (request.op === "flush") say({ is: "flushed", flush: request.flush });
    else {
      relay.answer(request, takeSockets);
      if (request.op === "ended") say({ is: "flushed", flush: request.flush });
    }
});
control.on("error", () => process.exit(0));
control.on("close", () => process.exit(0));
say({ is: "ready" });

function say(response: RelayResponse | Pong): void {
  if (control.writableLength < MOST_UNREAD_BYTES) control.write(`${JSON.stringify(response)}\n`);
}

/** @throws Error when others came than were told of, after which nothing fits any more */
function takeSockets(sandbox: number): number[] {
  const number = Buffer.alloc(RELAY_MESSAGE_BYTES);
  const fds = sys.receiveDescriptors(RELAY_DESCRIPTORS_FD, number, MOST_DESCRIPTORS);
  if (fds === null || Number(number.readBigUInt64LE(0)) !== sandbox)
    throw new Error("the sockets of another sandbox came");
  return fds;
}
