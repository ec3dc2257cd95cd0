/**
 * This folder runs in the injector of egress: the one process where TLS of sandboxes ends, and that
 * knows the secrets which are put into their requests. It parses TLS and HTTP that hostile code
 * sends, so it has nothing else: a user of its own, no capability, no file, no program that it
 * could start, and no socket but those that it is given. It cannot connect to anything: the relay
 * dials, counts and closes, and gives it two ends for each connection.
 *
 *     sandbox <──bytes──> relay <──TLS──> injector <──TLS──> relay <──bytes──> host
 *
 * It ends with its holder, whose control socket ends then.
 */
import { closeSync, readFileSync } from "node:fs";
import { Socket } from "node:net";
import { getCACertificates } from "node:tls";
import { lockIn } from "../egress/lock-in.ts";
import { LineReader } from "../protocol/control.ts";
import {
  type Ping,
  type Pong,
  RELAY_CONTROL_FD,
  RELAY_DESCRIPTORS_FD,
  RELAY_MESSAGE_BYTES,
} from "../protocol/egress.ts";
import {
  type CarryRequest,
  type CarryWord,
  type InjectorOptions,
  type InjectorRequest,
  type InjectorResponse,
  LINK_NUMBER,
} from "../protocol/injector.ts";
import { INJECTOR_POLICY } from "../seccomp/relay.ts";
import { sys } from "../syscall/libc.ts";
import { Authority } from "./authority.ts";
import { Injector } from "./injector.ts";

const options = JSON.parse(process.argv[2] ?? "") as InjectorOptions;
const control = new Socket({ fd: RELAY_CONTROL_FD, readable: true, writable: true });
const issuers = readIssuers(options);
const authority = new Authority();
lockIn(options, INJECTOR_POLICY);

const injector = new Injector(authority, issuers);
const requests = new LineReader<InjectorRequest | Ping>();
control.on("data", (chunk: Buffer) => {
  for (const request of requests.push(chunk)) {
    if (request.op === "ping") say({ is: "pong" });
    else if (request.op === "link") serveLink(...takePair(RELAY_DESCRIPTORS_FD, LINK_NUMBER));
    else injector.answer(request);
  }
});
control.on("error", () => process.exit(0));
control.on("close", () => process.exit(0));
say({ is: "ready", caCertificate: authority.certificate });

function say(response: InjectorResponse | Pong): void {
  control.write(`${JSON.stringify(response)}\n`);
}

/** The system's, or those that Node comes with where the system has none; and the operator's. */
function readIssuers({ caFile }: InjectorOptions): string[] {
  const ofSystem = getCACertificates("system");
  const issuers = ofSystem.length > 0 ? ofSystem : getCACertificates("bundled");
  return caFile === undefined ? issuers : [...issuers, readFileSync(caFile, "utf8")];
}

/** Takes connections from one relay, until it ends. */
function serveLink(linesFd: number, descriptorsFd: number): void {
  const lines = new Socket({ fd: linesFd, readable: true, writable: true });
  const reader = new LineReader<CarryRequest>();
  const say = (word: CarryWord) => {
    if (lines.writable) lines.write(`${JSON.stringify(word)}\n`);
  };
  lines.on("data", (chunk: Buffer) => {
    for (const request of reader.push(chunk)) {
      const fds = takePair(descriptorsFd, request.id);
      if (!injector.carry(request, fds, say)) for (const fd of fds) closeSync(fd);
    }
  });
  lines.on("error", () => lines.destroy());
  lines.on("close", () => closeSync(descriptorsFd));
}

/** @throws Error when others came than were told of, after which nothing fits any more */
function takePair(socket: number, number: number): [number, number] {
  const told = Buffer.alloc(RELAY_MESSAGE_BYTES);
  const [first, second, ...more] = sys.receiveDescriptors(socket, told, 2) ?? [];
  if (first === undefined || second === undefined || more.length > 0 || Number(told.readBigUInt64LE(0)) !== number)
    throw new Error("other descriptors came than were told of");
  return [first, second];
}
