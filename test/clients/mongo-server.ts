/**
 * A server for the driver of MongoDB, whose own server npm does not have: handshake, `insert`, and
 * the aggregation that counts documents equal to a query's fields (MongoDB Wire Protocol, OP_MSG;
 * the first handshake comes as OP_QUERY).
 */
import type { Socket } from "node:net";

/** The package `bson`, of the driver's own version. */
export interface Bson {
  serialize(document: Document): Uint8Array;
  deserialize(bytes: Uint8Array): Document;
}
type Document = Record<string, unknown>;

const HEADER_BYTES = 16;
const OP = { REPLY: 1, QUERY: 2004, MESSAGE: 2013 } as const;
const HANDSHAKE = {
  ...{ helloOk: true, isWritablePrimary: true, ismaster: true, ok: 1 },
  ...{ minWireVersion: 0, maxWireVersion: 21, maxWriteBatchSize: 1_000 },
  ...{ maxBsonObjectSize: 1 << 24, maxMessageSizeBytes: 48_000_000 },
};

/** Takes connections; all of them have the same documents. */
export function serveDocuments(bson: Bson): (socket: Socket) => void {
  const collections = new Map<string, Document[]>();
  return (socket) => {
    let bytes = Buffer.alloc(0);
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      while (bytes.length >= HEADER_BYTES && bytes.length >= bytes.readInt32LE(0)) {
        const message = bytes.subarray(0, bytes.readInt32LE(0));
        bytes = bytes.subarray(message.length);
        socket.write(reply(message, bson, collections));
      }
    });
  };
}

function reply(message: Buffer, bson: Bson, collections: Map<string, Document[]>): Buffer {
  const [id, kind] = [message.readInt32LE(4), message.readInt32LE(12)];
  if (kind === OP.QUERY) return framed(id, OP.REPLY, [Buffer.alloc(16), one(), bson.serialize(HANDSHAKE)]);
  const answer = bson.serialize(carryOut(readCommand(message, bson), collections));
  return framed(id, OP.MESSAGE, [Buffer.alloc(5), answer]);
}

/** The number of documents in an OP_REPLY. */
function one(): Buffer {
  return Buffer.from([1, 0, 0, 0]);
}

function framed(responseTo: number, kind: number, parts: Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const header = Buffer.alloc(HEADER_BYTES);
  for (const [index, value] of [HEADER_BYTES + body.length, 0, responseTo, kind].entries()) {
    header.writeInt32LE(value, index * 4);
  }
  return Buffer.concat([header, body]);
}

/** The command of an OP_MSG, with the lists of documents that stand beside it. */
function readCommand(message: Buffer, bson: Bson): Document {
  const command: Document = {};
  for (let at = HEADER_BYTES + 4; at < message.length; ) {
    const isList = message[at] === 1;
    const section = message.subarray(at + 1, at + 1 + message.readInt32LE(at + 1));
    at += 1 + section.length;
    if (!isList) Object.assign(command, bson.deserialize(section));
    else {
      const nameEnd = section.indexOf(0, 4);
      command[section.toString("latin1", 4, nameEnd)] = documentsOf(section.subarray(nameEnd + 1), bson);
    }
  }
  return command;
}

function documentsOf(bytes: Buffer, bson: Bson): Document[] {
  const found: Document[] = [];
  for (let at = 0; at < bytes.length; at += bytes.readInt32LE(at)) {
    found.push(bson.deserialize(bytes.subarray(at, at + bytes.readInt32LE(at))));
  }
  return found;
}

function carryOut(command: Document, collections: Map<string, Document[]>): Document {
  const [name = "", collection] = Object.entries(command)[0] ?? [];
  const documents = collections.get(String(collection)) ?? [];
  switch (name) {
    case "insert": {
      const added = command.documents as Document[];
      collections.set(String(collection), [...documents, ...added]);
      return { n: added.length, ok: 1 };
    }
    case "aggregate": {
      const [{ $match = {} } = {}] = command.pipeline as [{ $match?: Document }?];
      const isMatch = (document: Document) => Object.entries($match).every(([key, value]) => document[key] === value);
      const n = documents.filter(isMatch).length;
      return { cursor: { firstBatch: [{ _id: 1, n }], id: 0n, ns: `shop.${collection}` }, ok: 1 };
    }
    default:
      return HANDSHAKE;
  }
}
