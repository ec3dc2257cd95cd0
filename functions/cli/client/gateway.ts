/**
 * The control API of a gateway, as the commands use it. docs: the gateway's /v1/openapi.json.
 * Shapes that `deploy` has no use for are loaded when they are: each takes milliseconds to build.
 */
import type { z } from "zod";
import type { GrantChange, GrantListInfo, GrantsChanged } from "../../api/egress.ts";
import type { QuotaChange, QuotaListInfo, QuotaUse } from "../../api/quotas.ts";
import {
  type CollectionInfo,
  collectionSchema,
  type Deployed,
  type Deployment,
  deployedSchema,
  type FunctionInfo,
  functionListSchema,
  functionSchema,
  HOLDER_FIELD,
  type Hold,
  type HoldWish,
  holdSchema,
  type LogsQuery,
  sourcesMissingSchema,
  type Whoami,
  whoamiSchema,
} from "../../api/schemas.ts";
import type { RewrapInfo, SecretInfo } from "../../api/secrets.ts";
import type { HeaderPairs } from "../../model/invocation.ts";
import type { InvocationRecord, LogEntry } from "../../model/record.ts";
import type { StoredSpan } from "../../model/span.ts";
import { CliError } from "../failure.ts";
import { answerError } from "./answer-error.ts";
import type { Connection } from "./connection.ts";
import { type Answer, exchange, textOf } from "./http.ts";

/** Gives the same promise, and shows something for as long as it takes. */
export type WhileWaiting = (answer: Promise<Answer>) => Promise<Answer>;

export class Gateway {
  readonly connection: Connection;
  readonly #interrupted: AbortSignal;
  readonly #whileWaiting: WhileWaiting;

  /**
   * @param interrupted ends every request when it aborts; they reject with its reason.
   * @param whileWaiting shows that an answer is waited for
   */
  constructor(connection: Connection, interrupted: AbortSignal, whileWaiting: WhileWaiting = (answer) => answer) {
    this.connection = connection;
    this.#interrupted = interrupted;
    this.#whileWaiting = whileWaiting;
  }

  async whoami(): Promise<Whoami> {
    return this.#ask(whoamiSchema, "GET", "/v1/whoami");
  }

  /** @param holder who holds the name, when somebody does. */
  async deploy(name: string, deployment: Deployment, holder?: string): Promise<Deployed> {
    return this.#ask(deployedSchema, "PUT", functionPath(name), deployment, fieldsOf(holder));
  }

  /** Holds a function's name, or goes on holding it. @throws CliError NAME_HELD */
  async hold(name: string, wish: HoldWish): Promise<Hold> {
    return this.#ask(holdSchema, "PUT", `${functionPath(name)}/hold`, wish);
  }

  /**
   * Those of these files that the tenant has to upload, by their SHA-256, before a deployment names
   * them.
   */
  async missingSources(digests: readonly string[]): Promise<string[]> {
    const asked = { sha256: digests };
    return (await this.#ask(sourcesMissingSchema, "POST", "/v1/sources/missing", asked)).missing;
  }

  /** Uploads source files, packed as a tree in which each is named by its SHA-256. */
  async uploadSources(packed: Uint8Array): Promise<void> {
    const answer = await succeeded(await this.#send("POST", "/v1/sources", packed));
    answer.body.resume();
  }

  async list(): Promise<FunctionInfo[]> {
    return (await this.#ask(functionListSchema, "GET", "/v1/functions")).functions;
  }

  async info(name: string): Promise<FunctionInfo> {
    return this.#ask(functionSchema, "GET", functionPath(name));
  }

  /** Sends an event to a function, under a trace if there is a context for one. */
  async sendEvent(name: string, event: Uint8Array, traceparent: string | null): Promise<Answer> {
    return exchange({
      method: "POST",
      url: `${this.connection.url}${functionPath(name)}/events`,
      headers: [
        ["accept", "application/json"],
        ["authorization", `Bearer ${this.connection.apiKey}`],
        ["content-type", "application/json"],
        ...(traceparent === null ? [] : ([["traceparent", traceparent]] satisfies [string, string][])),
      ],
      body: event,
      signal: this.#interrupted,
    });
  }

  /** @param holder when it is given, only a function that this process holds is deleted. */
  async delete(name: string, holder?: string): Promise<void> {
    const answer = await succeeded(await this.#send("DELETE", functionPath(name), undefined, fieldsOf(holder)));
    answer.body.resume();
  }

  async gc(dryRun: boolean): Promise<CollectionInfo> {
    return this.#ask(collectionSchema, "POST", `/v1/gc?dryRun=${dryRun ? 1 : 0}`);
  }

  /** Sets a secret of a function, or of the tenant. @throws CliError INVALID_REQUEST */
  async setSecret(name: string, value: string, functionName?: string): Promise<SecretInfo> {
    return this.#ask((await ofSecrets()).secretSchema, "PUT", secretPath(name, functionName), { value });
  }

  /** Secrets of a function; of the tenant and all its functions without one. */
  async secrets(functionName?: string): Promise<SecretInfo[]> {
    return (await this.#ask((await ofSecrets()).secretListSchema, "GET", secretPath(null, functionName))).secrets;
  }

  /** @throws CliError SECRET_NOT_FOUND */
  async deleteSecret(name: string, functionName?: string): Promise<void> {
    const answer = await succeeded(await this.#send("DELETE", secretPath(name, functionName)));
    answer.body.resume();
  }

  /** Has all data keys sealed with the first master key. */
  async rewrap(): Promise<RewrapInfo> {
    return this.#ask((await ofSecrets()).rewrapSchema, "POST", "/v1/secrets/rewrap");
  }

  /** The grants for outgoing connections of those tenants that the key may see. */
  async grants(): Promise<GrantListInfo> {
    return this.#ask((await ofEgress()).grantListSchema, "GET", "/v1/egress");
  }

  /** @throws CliError NOT_OPERATOR, as `resetGrants` */
  async changeGrants(tenant: string, change: GrantChange): Promise<GrantsChanged> {
    return this.#ask((await ofEgress()).grantsChangedSchema, "POST", grantsPath(tenant), change);
  }

  /** The quotas of those tenants that the key may see. */
  async quotas(): Promise<QuotaListInfo> {
    return this.#ask((await ofQuotas()).quotaListSchema, "GET", "/v1/quotas");
  }

  /** All limits of a tenant, and what it uses of them. @throws CliError TENANT_NOT_FOUND */
  async quotaUse(tenant: string): Promise<QuotaUse> {
    return this.#ask((await ofQuotas()).quotaUseSchema, "GET", `/v1/quotas/${encodeURIComponent(tenant)}`);
  }

  /** The quotas of a tenant after a change. @throws CliError NOT_OPERATOR */
  async setQuotas(tenant: string, change: QuotaChange): Promise<QuotaListInfo> {
    return this.#ask((await ofQuotas()).quotaListSchema, "POST", `/v1/quotas/${encodeURIComponent(tenant)}`, change);
  }

  async resetGrants(tenant: string): Promise<GrantsChanged> {
    return this.#ask((await ofEgress()).grantsChangedSchema, "DELETE", grantsPath(tenant));
  }

  /** The record of a call. @throws CliError INVOCATION_NOT_FOUND */
  async call(id: string): Promise<InvocationRecord> {
    return this.#ask((await ofRecords()).invocationRecordSchema, "GET", `/v1/invocations/${encodeURIComponent(id)}`);
  }

  /** The spans of a trace, or null as long as none are stored. */
  async trace(traceId: string): Promise<StoredSpan[] | null> {
    const answer = await this.#send("GET", `/v1/traces/${traceId}`);
    if (answer.status === 404) {
      answer.body.resume();
      return null;
    }
    return (await parsed((await import("../../api/traces.ts")).traceSchema, await succeeded(answer))).spans;
  }

  /**
   * Log lines, oldest first; with `follow`, until the signal aborts: then it throws the signal's
   * reason.
   */
  async *logs(name: string, query: LogsQuery, signal = this.#interrupted): AsyncGenerator<LogEntry, void, void> {
    const parameters = new URLSearchParams(Object.entries(query));
    const path = `${functionPath(name)}/logs?${parameters}`;
    const { createInterface } = await import("node:readline");
    const { logEntrySchema } = await ofRecords();
    const answer = await succeeded(await this.#send("GET", path, undefined, [], signal));
    try {
      for await (const line of createInterface({ input: answer.body, crlfDelay: Number.POSITIVE_INFINITY })) {
        if (line.trim() !== "") yield checked(logEntrySchema, line);
      }
      // readline ends in silence when its input is destroyed.
      if (answer.body.errored) throw answer.body.errored;
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof CliError) throw error;
      throw new CliError("unavailable", "the log broke off", { code: "ANSWER_BROKE_OFF", cause: error });
    } finally {
      answer.body.destroy();
    }
  }

  /** One request, for files that know further routes. @throws CliError for an answer of failure */
  ask<T>(schema: z.ZodType<T>, method: string, path: string, body?: unknown, fields?: HeaderPairs): Promise<T> {
    return this.#ask(schema, method, path, body, fields);
  }

  /** One request whose answer is bytes, to be read by the caller. @throws CliError, as `ask` */
  async bytes(method: string, path: string): Promise<Answer["body"]> {
    return (await succeeded(await this.#send(method, path))).body;
  }

  /** One request whose answer says no more than that it is done. @throws CliError, as `ask` */
  async tell(method: string, path: string, body?: unknown): Promise<void> {
    const answer = await succeeded(await this.#send(method, path, body));
    answer.body.resume();
  }

  async #ask<T>(
    schema: z.ZodType<T>,
    method: string,
    path: string,
    body?: unknown,
    fields: HeaderPairs = [],
  ): Promise<T> {
    const answer = this.#whileWaiting(this.#send(method, path, body, fields));
    return parsed(schema, await succeeded(await answer));
  }

  /** @param body is sent as JSON, and bytes as they are. */
  #send(
    method: string,
    path: string,
    body?: unknown,
    fields: HeaderPairs = [],
    signal = this.#interrupted,
  ): Promise<Answer> {
    const isBytes = body instanceof Uint8Array;
    const type = isBytes ? "application/octet-stream" : "application/json";
    return exchange({
      method,
      url: `${this.connection.url}${path}`,
      headers: [
        ["accept", "application/json, application/x-ndjson"],
        ["authorization", `Bearer ${this.connection.apiKey}`],
        ...fields,
        ...(body === undefined ? [] : ([["content-type", type]] satisfies [string, string][])),
      ],
      ...(body !== undefined && { body: isBytes ? body : Buffer.from(JSON.stringify(body)) }),
      signal,
    });
  }
}

const ofSecrets = () => import("../../api/secrets.ts");
const ofEgress = () => import("../../api/egress.ts");
const ofQuotas = () => import("../../api/quotas.ts");
const ofRecords = () => import("../../model/record.ts");

function fieldsOf(holder: string | undefined): HeaderPairs {
  return holder === undefined ? [] : [[HOLDER_FIELD, holder]];
}

function secretPath(name: string | null, functionName: string | undefined): string {
  const path = name === null ? "/v1/secrets" : `/v1/secrets/${encodeURIComponent(name)}`;
  return functionName === undefined ? path : `${path}?${new URLSearchParams({ function: functionName })}`;
}

function grantsPath(tenant: string): string {
  return `/v1/egress/${encodeURIComponent(tenant)}`;
}

function functionPath(name: string): string {
  return `/v1/functions/${encodeURIComponent(name)}`;
}

async function parsed<T>(schema: z.ZodType<T>, answer: Answer): Promise<T> {
  return checked(schema, await textOf(answer));
}

/**
 * The value of a gateway's JSON; what the schema does not know is left out. @throws CliError
 * BAD_ANSWER
 */
function checked<T>(schema: z.ZodType<T>, text: string): T {
  let value: unknown;
  try {
    value = text === "" ? null : JSON.parse(text);
  } catch (cause) {
    throw badAnswer("what answered is no Sandpiper gateway: its answer is not JSON", cause);
  }
  const { success, data, error } = schema.safeParse(value);
  if (success) return data;
  const at = error.issues[0]?.path.join(".");
  throw badAnswer(
    `the gateway's answer is not as this CLI knows it${at ? ` (${at})` : ""}: is it another version?`,
    error,
  );
}

function badAnswer(message: string, cause: unknown): CliError {
  return new CliError("unavailable", message, { code: "BAD_ANSWER", cause });
}

async function succeeded(answer: Answer): Promise<Answer> {
  if (answer.status >= 200 && answer.status < 300) return answer;
  throw answerError(answer.status, await textOf(answer));
}
