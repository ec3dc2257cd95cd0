/**
 * Messages of the domain name system, as much of it as a resolver inside of a sandbox asks for
 * (RFC 1035): one question, answered with one address or none. A message is hostile, and nothing
 * of it but the question comes back.
 */

/** A question for the addresses, or anything else, of one name. */
export interface NameQuestion {
  id: number;
  /** In lower case, without a final dot; "" for the root. */
  name: string;
  /** Whether an address of version 4 is asked for. */
  wantsAddress: boolean;
  /** Flags that an answer repeats. */
  flags: number;
  /** The question as it came. */
  bytes: Buffer;
}

const HEADER_BYTES = 12;
const LONGEST_LABEL = 63;
const LONGEST_NAME = 253;
/** After the name: its type and its class. */
const TAIL_BYTES = 4;

const TYPE_ADDRESS = 1;
const CLASS_INTERNET = 1;
const FLAG = { RESPONSE: 0x8000, OPCODE: 0x7800, RECURSION_WISHED: 0x0100, RECURSION: 0x0080 } as const;
export const RCODE = { NONE: 0, FORMAT: 1, NO_SUCH_NAME: 3, NOT_IMPLEMENTED: 4 } as const;

/** A pointer to the name of the question, which is where every answer's name is. */
const NAME_OF_QUESTION = 0xc000 | HEADER_BYTES;
const LABEL = /^[a-z0-9_-]+$/;

/**
 * Reads a question. For a message that is none: the whole answer to it, or null where nothing is to
 * be answered.
 */
export function readQuestion(message: Buffer): NameQuestion | { refusal: Buffer } | null {
  if (message.length < HEADER_BYTES) return null;
  const [id, flags] = [message.readUInt16BE(0), message.readUInt16BE(2)];
  if ((flags & FLAG.RESPONSE) !== 0) return null;
  const refusal = (code: number) => ({ refusal: header({ id, flags }, code, { questions: 0, answers: 0 }) });
  if ((flags & FLAG.OPCODE) !== 0) return refusal(RCODE.NOT_IMPLEMENTED);
  if (message.readUInt16BE(4) !== 1) return refusal(RCODE.FORMAT);
  const found = readName(message);
  if (found === null || found.end + TAIL_BYTES > message.length) return refusal(RCODE.FORMAT);
  const [type, kind] = [message.readUInt16BE(found.end), message.readUInt16BE(found.end + 2)];
  if (kind !== CLASS_INTERNET) return refusal(RCODE.NOT_IMPLEMENTED);
  const bytes = Buffer.from(message.subarray(HEADER_BYTES, found.end + TAIL_BYTES));
  return { id, flags, name: found.name, wantsAddress: type === TYPE_ADDRESS, bytes };
}

/** The name of the question and the offset behind it; null when it is none. */
function readName(message: Buffer): { name: string; end: number } | null {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  let length = 0;
  for (;;) {
    const size = message[at];
    // A larger one is a pointer, and a question points nowhere.
    if (size === undefined || size > LONGEST_LABEL) return null;
    at += 1;
    if (size === 0) return { name: labels.join("."), end: at };
    length += size + 1;
    if (length > LONGEST_NAME + 1 || at + size > message.length) return null;
    const label = message.toString("latin1", at, at + size).toLowerCase();
    if (!LABEL.test(label)) return null;
    labels.push(label);
    at += size;
  }
}

/** There is such a name, and `address` (four bytes) is its only one of version 4. */
export function answerAddress(question: NameQuestion, address: Uint8Array, ttlS: number): Buffer {
  const record = Buffer.alloc(16);
  record.writeUInt16BE(NAME_OF_QUESTION, 0);
  record.writeUInt16BE(TYPE_ADDRESS, 2);
  record.writeUInt16BE(CLASS_INTERNET, 4);
  record.writeUInt32BE(ttlS, 6);
  record.writeUInt16BE(address.length, 10);
  record.set(address, 12);
  return Buffer.concat([header(question, RCODE.NONE, { questions: 1, answers: 1 }), question.bytes, record]);
}

/** Nothing of the kind that was asked for: because of `code`, or because the name has none. */
export function answerNothing(question: NameQuestion, code: number): Buffer {
  return Buffer.concat([header(question, code, { questions: 1, answers: 0 }), question.bytes]);
}

function header(
  { id, flags }: { id: number; flags: number },
  code: number,
  { questions, answers }: { questions: number; answers: number },
): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.writeUInt16BE(id, 0);
  bytes.writeUInt16BE(FLAG.RESPONSE | FLAG.RECURSION | (flags & FLAG.RECURSION_WISHED) | code, 2);
  bytes.writeUInt16BE(questions, 4);
  bytes.writeUInt16BE(answers, 6);
  return bytes;
}
