/** The control API of a gateway, as the commands use it. docs: the gateway's /v1/openapi.json. */
import { createInterface } from "node:readline";
import { z } from "zod";
import type { InvocationRecord, LogRecord } from "../../model/invocation.ts";
import type { StoredSpan } from "../../model/span.ts";
import { CliError, type FailureKind } from "../failure.ts";
import type { Connection } from "./connection.ts";
import { type Answer, exchange, textOf } from "./http.ts";

/** A deployed function as `GET /v1/functions/{name}` tells it. */
export interface FunctionInfo {
  name: string;
  tenant: string;
  url: string;
  version: string;
  config: { memoryMiB: number; timeoutMs: number; isolation: string; env: Record<string, string> };
  /** Why its calls have no forks of a template, when they should. */
  noTemplateReason: string | null;
  entry: string;
  bundleBytes: number;
  files: { path: string; bytes: number }[];
  createdAt: string;
  updatedAt: string;
}

export interface Deployed {
  name: string;
  version: string;
  url: string;
  created: boolean;
  bundleBytes: number;
  warnings: string[];
}

export interface Whoami {
  tenant: string;
  keyId: string;
  publicUrl: string;
}

/** One line of a log: what was written, or how an invocation ended. */
export type LogLine = LogRecord | { end: InvocationRecord };

export interface LogQuery {
  limit?: number;
  invocation?: string;
  /** Unix time in milliseconds. */
  sinceMs?: number;
  follow?: boolean;
}

const errorBodySchema = z.object({
  error: z.object({ code: z.string(), message: z.string(), requestId: z.string().optional() }),
});

export class Gateway {
  readonly connection: Connection;
  readonly #interrupted: AbortSignal;

  /** @param interrupted ends every request when it aborts; they reject with its reason. */
  constructor(connection: Connection, interrupted: AbortSignal) {
    this.connection = connection;
    this.#interrupted = interrupted;
  }

  async whoami(): Promise<Whoami> {
    return (await this.#json("GET", "/v1/whoami")) as Whoami;
  }

  async deploy(name: string, body: unknown): Promise<Deployed> {
    return (await this.#json("PUT", functionPath(name), body)) as Deployed;
  }

  async list(): Promise<FunctionInfo[]> {
    const { functions } = (await this.#json("GET", "/v1/functions")) as { functions: FunctionInfo[] };
    return functions;
  }

  async info(name: string): Promise<FunctionInfo> {
    return (await this.#json("GET", functionPath(name))) as FunctionInfo;
  }

  async delete(name: string): Promise<void> {
    await this.#json("DELETE", functionPath(name));
  }

  /** The spans of a trace, or null as long as none are stored. */
  async trace(traceId: string): Promise<StoredSpan[] | null> {
    const answer = await this.#send("GET", `/v1/traces/${traceId}`);
    if (answer.status === 404) {
      answer.body.resume();
      return null;
    }
    const { spans } = (await parsed(await succeeded(answer))) as { spans: StoredSpan[] };
    return spans;
  }

  /** Log lines, oldest first; with `follow`, until the signal aborts: then it throws the signal's reason. */
  async *logs(name: string, query: LogQuery, signal = this.#interrupted): AsyncGenerator<LogLine, void, void> {
    const parameters = new URLSearchParams();
    if (query.limit !== undefined) parameters.set("limit", String(query.limit));
    if (query.invocation !== undefined) parameters.set("invocation", query.invocation);
    if (query.sinceMs !== undefined) parameters.set("since", String(query.sinceMs));
    if (query.follow) parameters.set("follow", "1");
    const answer = await succeeded(
      await this.#send("GET", `${functionPath(name)}/logs?${parameters}`, undefined, signal),
    );
    try {
      for await (const line of createInterface({ input: answer.body, crlfDelay: Number.POSITIVE_INFINITY })) {
        if (line.trim() !== "") yield JSON.parse(line) as LogLine;
      }
      // readline ends in silence when its input is destroyed.
      if (answer.body.errored) throw answer.body.errored;
    } catch (error) {
      signal.throwIfAborted();
      throw new CliError("unavailable", "the log broke off", { code: "ANSWER_BROKE_OFF", cause: error });
    } finally {
      answer.body.destroy();
    }
  }

  async #json(method: string, path: string, body?: unknown): Promise<unknown> {
    const answer = await succeeded(await this.#send(method, path, body));
    if (answer.status === 204) {
      answer.body.resume();
      return null;
    }
    return await parsed(answer);
  }

  #send(method: string, path: string, body?: unknown, signal = this.#interrupted): Promise<Answer> {
    return exchange({
      method,
      url: `${this.connection.url}${path}`,
      headers: [
        ["accept", "application/json, application/x-ndjson"],
        ["authorization", `Bearer ${this.connection.apiKey}`],
        ...(body === undefined ? [] : ([["content-type", "application/json"]] satisfies [string, string][])),
      ],
      ...(body !== undefined && { body: Buffer.from(JSON.stringify(body)) }),
      signal,
    });
  }
}

function functionPath(name: string): string {
  return `/v1/functions/${encodeURIComponent(name)}`;
}

async function parsed(answer: Answer): Promise<unknown> {
  const text = await textOf(answer);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CliError("unavailable", "what answered is no Sandpiper gateway: its answer is not JSON", {
      code: "BAD_ANSWER",
      cause: error,
    });
  }
}

async function succeeded(answer: Answer): Promise<Answer> {
  if (answer.status >= 200 && answer.status < 300) return answer;
  throw answerError(answer.status, await textOf(answer));
}

/** The failure that a gateway's error answer stands for. */
export function answerError(status: number, text: string): CliError {
  let body: unknown = null;
  try {
    body = JSON.parse(text);
  } catch {
    // Not from a gateway, perhaps from a proxy before it: the status alone speaks.
  }
  const known = errorBodySchema.safeParse(body);
  if (!known.success) {
    return new CliError(kindOf(status, ""), `the gateway answered with status ${status}`, { code: "BAD_ANSWER" });
  }
  const { code, message, requestId } = known.data.error;
  return new CliError(kindOf(status, code), message, {
    code,
    ...(requestId !== undefined && { requestId }),
    ...(HINTS[code] !== undefined && { hint: HINTS[code] }),
  });
}

function kindOf(status: number, code: string): FailureKind {
  if (code === "BUILD_FAILED") return "build";
  if (status === 401 || status === 403) return "auth";
  if (status === 404) return "notFound";
  if (status === 408 || status === 429 || status >= 502) return "unavailable";
  return status >= 400 && status < 500 ? "config" : "internal";
}

const HINTS: Readonly<Record<string, string>> = {
  UNAUTHENTICATED: "set SANDPIPER_API_KEY to a key of this gateway, or give --api-key-file",
  FUNCTION_NOT_FOUND: "`sandpiper list` shows what is deployed",
};
