/**
 * `node network-server.ts [NAMESPACE]`: servers that clients of the suite `egress` talk to, in the
 * network namespace at that path, or in one of their own that is the internet to others.
 */
import { createServer, type Socket } from "node:net";
import { CLONE, O } from "../../../sandbox-core/abi/linux.ts";
import { addRoutes } from "../../../sandbox-core/fork/routes.ts";
import { sys } from "../../../sandbox-core/syscall/libc.ts";
import { setLoopbackUp } from "../../../sandbox-core/syscall/steps.ts";
import { SERVER_PORTS } from "./network-ports.ts";

const CHUNK = Buffer.alloc(65_536);
const [, , namespace] = process.argv;

if (namespace === undefined) {
  sys.unshare(CLONE.NEWNET);
  setLoopbackUp();
  // Every address of the block leads here.
  addRoutes([["45.0.0.0", 8]], []);
} else sys.setns(sys.open(namespace, O.RDONLY | O.CLOEXEC), CLONE.NEWNET);

const SERVERS: Record<keyof typeof SERVER_PORTS, (socket: Socket) => void> = {
  echo: (socket) => socket.on("data", (bytes) => socket.write(bytes)).on("end", () => socket.end()),
  sink: (socket) => socket.resume().on("end", () => socket.end("all is here")),
  source: (socket) => socket.once("data", (text) => send(socket, Number(text))),
};

function send(socket: Socket, bytes: number): void {
  let left = bytes;
  const more = () => {
    let isOpen = true;
    for (; left > 0 && isOpen; left -= CHUNK.length) isOpen = socket.write(CHUNK);
  };
  socket.on("drain", more);
  more();
}

for (const [name, port] of Object.entries(SERVER_PORTS)) {
  const serve = SERVERS[name as keyof typeof SERVER_PORTS];
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
    serve(socket.on("error", () => socket.destroy())),
  );
  await new Promise<void>((listening) => server.listen({ port, host: "0.0.0.0" }, listening));
}
process.once("disconnect", () => process.exit());
process.send?.("ready");
