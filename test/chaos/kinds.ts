/**
 * The kinds of call that the load is made of: what each sends, and the only answer that is right.
 * Every call carries its id, and the function writes it into its log first of all, with the time: a
 * worker reads it later.
 */
import { createHash } from "node:crypto";
import type { Answer, Sent } from "./client.ts";

export const FUNCTION = "chaos";
/** A function that is deployed again and again. */
export const DEPLOYED = "deployed";
/** The word before id and time in the function's log, by which notes-module.ts knows them. */
export const RAN = "ran ";

const SLOW_MS = 1_000;
const PIECES = { count: 10, everyMs: 30, bytes: 4_096 };
const POST_BYTES = 100 * 1024;

export const SOURCE = `
  const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

  async function* pieces(id: string) {
    for (let index = 0; index < ${PIECES.count}; index++) {
      await wait(${PIECES.everyMs});
      yield new TextEncoder().encode((id + ":" + index + " ").padEnd(${PIECES.bytes}, "."));
    }
  }

  export default async (request: Request) => {
    const { pathname, searchParams } = new URL(request.url);
    const id = searchParams.get("id") ?? "";
    console.log("${RAN}" + id + " " + Number(process.hrtime.bigint()) / 1e6);
    switch (pathname.split("/").at(-1)) {
      case "post": return new Response(await request.arrayBuffer());
      case "stream": return new Response(ReadableStream.from(pieces(id)));
      case "slow": await wait(${SLOW_MS}); return new Response("slow " + id);
      case "error": throw new Error("error " + id);
      case "exit": process.exit(3);
      default: return new Response("get " + id);
    }
  };`;

export interface Kind {
  /** Time that the function itself waits before it is done. */
  ownMs: number;
  send(id: string): Sent;
  isRight(id: string, answer: Answer): boolean;
  /** Whether calls of it run the function that notes its executions. */
  runs: boolean;
}

const answers = (text: (id: string) => string) => (id: string, answer: Answer) =>
  answer.status === 200 && answer.body.toString() === text(id);
const fails = (code: string) => (_: string, answer: Answer) => answer.code === code;
const path = (kind: string) => (id: string) => ({ method: "GET", path: `/fn/main/${FUNCTION}/${kind}?id=${id}` });

export const KINDS = {
  get: { ownMs: 0, runs: true, send: path("get"), isRight: answers((id) => `get ${id}`) },
  post: {
    ...{ ownMs: 0, runs: true, isRight: answers((id) => bodyOf(id)) },
    send: (id) => ({ ...path("post")(id), method: "POST", body: bodyOf(id) }),
  },
  stream: { ownMs: PIECES.count * PIECES.everyMs, runs: true, send: path("stream"), isRight: answers(streamOf) },
  slow: { ownMs: SLOW_MS, runs: true, send: path("slow"), isRight: answers((id) => `slow ${id}`) },
  error: { ownMs: 0, runs: true, send: path("error"), isRight: fails("FUNCTION_ERROR") },
  exit: { ownMs: 0, runs: true, send: path("exit"), isRight: fails("FUNCTION_EXITED") },
  deploy: { ownMs: 0, runs: false, send: deployment, isRight: (_, answer) => answer.status < 300 },
} satisfies Record<string, Kind>;

export type KindName = keyof typeof KINDS;
export type Mix = Partial<Record<KindName, number>>;

/** The mix of a run that says nothing else. */
export const USUAL: Mix = { get: 6, post: 1, stream: 1, slow: 1, error: 1 };

/** 100 KB that no other call has. */
function bodyOf(id: string): string {
  const digest = createHash("sha256").update(id).digest("hex");
  return digest.repeat(POST_BYTES / digest.length);
}

function streamOf(id: string): string {
  return Array.from({ length: PIECES.count }, (_, index) => `${id}:${index} `.padEnd(PIECES.bytes, ".")).join("");
}

/** Half of them are new sources, which are built; the others come again and again. */
function deployment(id: string): Sent {
  const text = /[02468]$/.test(id) ? "again" : id;
  return deploy(DEPLOYED, `export default () => new Response("${text}");`);
}

/** The request that deploys a function of one file. */
export function deploy(name: string, source: string, config: Record<string, unknown> = {}): Sent {
  const files = [{ path: "index.ts", contentBase64: Buffer.from(source).toString("base64") }];
  return {
    ...{ method: "PUT", path: `/v1/functions/${name}`, type: "application/json" },
    body: JSON.stringify({ config: { name, ...config }, entry: "index.ts", files }),
  };
}
