/** The process of public-net.ts: a network namespace, its routes, and the servers in it. */
import { createSocket } from "node:dgram";
import { createServer, type Socket } from "node:net";
import { CLONE } from "../../sandbox-core/abi/linux.ts";
import { answerAddress, answerNothing, RCODE, readQuestion } from "../../sandbox-core/egress/name-message.ts";
import { addRoutes } from "../../sandbox-core/fork/routes.ts";
import { sys } from "../../sandbox-core/syscall/libc.ts";
import { setLoopbackUp } from "../../sandbox-core/syscall/steps.ts";

sys.unshare(CLONE.NEWNET);
setLoopbackUp();
addRoutes(
  [
    ["45.0.0.0", 8],
    ["46.0.0.0", 8],
    ["10.9.0.0", 16],
  ],
  [],
);

const servers: Record<number, (socket: Socket) => void> = {
  443: (socket) => socket.on("data", (bytes) => socket.write(`saw ${bytes.length}`)),
  80: (socket) =>
    socket.once("data", () => socket.end(`HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n${socket.localAddress}`)),
  25: (socket) => socket.end("220 mail\r\n"),
  7000: (socket) => socket.pipe(socket),
  7001: (socket) => socket.resume(),
};
for (const [port, serve] of Object.entries(servers)) {
  const server = createServer({ allowHalfOpen: true }, (socket) => serve(socket.on("error", () => socket.destroy())));
  await new Promise<void>((listening) => server.listen({ port: Number(port), host: "0.0.0.0" }, listening));
}

/** Questions that the test answers. */
const waiting = new Map<number, (addresses: string[]) => void>();
let last = 0;
process.on("disconnect", () => process.exit(0));
process.on("message", ({ id, addresses }: { id: number; addresses: string[] }) => waiting.get(id)?.(addresses));

const names = createSocket("udp4");
names.on("message", (message, { port, address }) => {
  const question = readQuestion(message);
  if (question === null || "refusal" in question) return;
  const reply = (answer: Buffer) => names.send(answer, port, address);
  if (!question.wantsAddress) return reply(answerNothing(question, RCODE.NONE));
  const id = ++last;
  waiting.set(id, ([first]) => {
    waiting.delete(id);
    const bytes = first === undefined ? undefined : Uint8Array.from(first.split(".").map(Number));
    reply(bytes ? answerAddress(question, bytes, 0) : answerNothing(question, RCODE.NO_SUCH_NAME));
  });
  process.send?.({ id, name: question.name });
});
await new Promise<void>((listening) => names.bind(5353, "127.0.0.1", listening));
process.send?.("ready");
