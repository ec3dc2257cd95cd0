/** Backups and restores of gateways in tests. */
import { randomUUID } from "node:crypto";
import { type FrameKind, FrameWriter, MAGIC, readFrames } from "../../functions/model/backup/frames.ts";
import type { MasterKeys } from "../../functions/secrets/master-keys.ts";
import { makeOperatorKey } from "../../functions/store/tenant.ts";
import type { GatewayConfig } from "../../gateway/gateway-options.ts";
import { startTestGateway, type TestGateway } from "./gateway.ts";

/** A gateway whose key is the operator's. @param empty whether nothing is deployed */
export async function startOperated(
  masterKeys: MasterKeys,
  { empty = false, ...config }: { empty?: boolean } & Partial<GatewayConfig> = {},
): Promise<TestGateway> {
  const test = await startTestGateway({ ...config, masterKeys });
  await makeOperatorKey(test.connection, test.key.split("_")[1] ?? "");
  if (empty) await test.api("/v1/functions/hello", { method: "DELETE" });
  return test;
}

/** A backup as its bytes. */
export async function backupOf(test: TestGateway): Promise<Buffer> {
  const response = await test.api("/v1/backup", { method: "POST" });
  if (!response.ok) throw new Error(await response.text());
  return Buffer.from(await response.arrayBuffer());
}

export interface RestoreAnswer {
  status: number;
  code: string | undefined;
  message: string | undefined;
  body: Record<string, unknown>;
}

/** Sends bytes and has them restored. @param key whose, in place of the operator's */
export async function restoreInto(
  test: TestGateway,
  file: Uint8Array,
  query = "",
  headers: Record<string, string> = {},
): Promise<RestoreAnswer> {
  const path = `/v1/restores/${randomUUID()}`;
  const type = { "content-type": "application/octet-stream", ...headers };
  const body = file as Uint8Array<ArrayBuffer>;
  const sent = await test.api(`${path}?at=0`, { method: "PUT", body, headers: type });
  if (!sent.ok) return answerOf(sent);
  return answerOf(await test.api(`${path}?${query}`, { method: "POST", headers }));
}

async function answerOf(response: Response): Promise<RestoreAnswer> {
  const body = (await response.json()) as Record<string, unknown> & { error?: { code: string; message: string } };
  return { status: response.status, code: body.error?.code, message: body.error?.message, body };
}

/** A frame as a test changes it: JSON, or the bytes of an artefact. */
export interface OpenFrame {
  kind: FrameKind;
  // biome-ignore lint/suspicious/noExplicitAny: a test puts anything into it.
  value: any;
}

/** The frames of a file, to be changed. */
export async function opened(file: Buffer): Promise<OpenFrame[]> {
  const frames: OpenFrame[] = [];
  for await (const { kind, content } of readFrames(onePiece(file))) {
    frames.push({ kind, value: kind === "bytes" ? Buffer.from(content) : JSON.parse(content.toString()) });
  }
  return frames;
}

/** A file of these frames with checksums that fit, as a forger makes it. */
export function forged(frames: readonly OpenFrame[]): Buffer {
  const writer = new FrameWriter();
  const artifacts = frames.filter(({ kind }) => kind === "artifact");
  const counts = {
    records: frames.filter(({ kind }) => kind === "record").length,
    artifacts: artifacts.length,
    artifactBytes: artifacts.reduce((sum, { value }) => sum + value.bytes, 0),
  };
  const parts = frames.map(({ kind, value }) => {
    if (kind === "trailer") return writer.json(kind, { ...counts, sha256: writer.digest() });
    return kind === "bytes" ? writer.frame(kind, value) : writer.json(kind, value);
  });
  return Buffer.concat([MAGIC, ...parts]);
}

export async function* onePiece(file: Uint8Array): AsyncGenerator<Uint8Array> {
  yield file;
}

/** Keys of Redis that begin so, with their values. */
export async function contentsOf({ connection }: TestGateway, prefixes: readonly string[]): Promise<object> {
  const found: Record<string, unknown> = {};
  for (const key of (await connection.keys("sp:*")).sort()) {
    if (!prefixes.some((prefix) => key.startsWith(prefix))) continue;
    const type = await connection.type(key);
    if (type === "hash") found[key] = await connection.hgetall(key);
    else if (type === "set") found[key] = (await connection.smembers(key)).sort();
    else if (type === "list") found[key] = await connection.lrange(key, 0, -1);
    else if (type === "stream") found[key] = await connection.xrange(key, "-", "+");
    else if (type === "zset") found[key] = await connection.zrange(key, "0", "-1");
    else found[key] = await connection.get(key);
  }
  return found;
}
