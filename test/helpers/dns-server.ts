/** A DNS server on loopback that answers questions for TXT records as a test says (RFC 1035). */
import { createSocket } from "node:dgram";
import { once } from "node:events";

const TXT = 16;
const HEADER_BYTES = 12;
/** Codes of answers. */
const NO_ERROR = 0;
const SERVER_FAILURE = 2;
const NO_SUCH_NAME = 3;

export interface DnsServer {
  /** Address and port. */
  address: string;
  /** The texts of each name's TXT records, each in pieces; `null`: the server fails. */
  records: Map<string, string[][] | null>;
  /** Names that were asked for. */
  asked: string[];
  /** Whether questions stay without an answer. */
  isSilent: boolean;
  close(): void;
}

/** Starts one that knows no name. */
export async function startDnsServer(): Promise<DnsServer> {
  const socket = createSocket("udp4");
  const server: DnsServer = {
    address: "",
    records: new Map(),
    asked: [],
    isSilent: false,
    close: () => socket.close(),
  };
  socket.on("message", (question, from) => {
    const { name, end } = readName(question);
    server.asked.push(name);
    if (!server.isSilent) socket.send(answerTo(question, end, server.records.get(name)), from.port, from.address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  server.address = `127.0.0.1:${socket.address().port}`;
  return server;
}

function readName(question: Buffer): { name: string; end: number } {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (let length = question[at] ?? 0; length > 0; length = question[at] ?? 0) {
    labels.push(question.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join("."), end: at + 1 + 4 };
}

function answerTo(question: Buffer, end: number, texts: string[][] | null | undefined): Buffer {
  const code = texts === null ? SERVER_FAILURE : texts === undefined ? NO_SUCH_NAME : NO_ERROR;
  const header = Buffer.from(question.subarray(0, HEADER_BYTES));
  header.writeUInt16BE(0x8180 | code, 2);
  for (const [at, count] of [1, texts?.length ?? 0, 0, 0].entries()) header.writeUInt16BE(count, 4 + 2 * at);
  return Buffer.concat([header, question.subarray(HEADER_BYTES, end), ...(texts ?? []).map(recordOf)]);
}

/** A record of the name that was asked for. */
function recordOf(pieces: readonly string[]): Buffer {
  const data = Buffer.concat(pieces.map((piece) => Buffer.concat([Buffer.from([piece.length]), Buffer.from(piece)])));
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc000 | HEADER_BYTES, 0);
  head.writeUInt16BE(TXT, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}
