/** Quotas: how much a tenant, or one function of it, may have or do. */
import { SandpiperError } from "./errors.ts";

interface QuotaEntry {
  /** The counted things, as a sentence goes on after a number. */
  unit: string;
  /** Whether a single function may have one. */
  ofFunctions: boolean;
  code: "CALL_QUOTA" | "DEPLOY_QUOTA" | "STORAGE_QUOTA";
  /** Whether bytes are counted. */
  isBytes?: boolean;
}

export const QUOTAS = {
  callsPerSecond: { unit: "calls a second", ofFunctions: true, code: "CALL_QUOTA" },
  callsInCourse: { unit: "calls that wait or run at once in a gateway", ofFunctions: false, code: "CALL_QUOTA" },
  callsWaiting: { unit: "calls that wait for workers in a gateway", ofFunctions: true, code: "CALL_QUOTA" },
  cpuSecondsPerMinute: { unit: "seconds of processor time a minute", ofFunctions: true, code: "CALL_QUOTA" },
  memoryInUse: {
    ...{ unit: "bytes of memory for calls that run at a worker", ofFunctions: false, code: "CALL_QUOTA" },
    isBytes: true,
  },
  bodyBytesPerDay: { unit: "bytes of bodies in 24 hours", ofFunctions: true, code: "CALL_QUOTA", isBytes: true },
  functions: { unit: "functions", ofFunctions: false, code: "DEPLOY_QUOTA" },
  deploysPerHour: { unit: "deployments an hour", ofFunctions: false, code: "DEPLOY_QUOTA" },
  reservedConcurrency: { unit: "reserved calls at once", ofFunctions: false, code: "DEPLOY_QUOTA" },
  warmInstances: { unit: "instances kept warm", ofFunctions: false, code: "DEPLOY_QUOTA" },
  versions: { unit: "versions that are kept", ofFunctions: true, code: "DEPLOY_QUOTA" },
  storedBytes: { unit: "stored bytes", ofFunctions: false, code: "STORAGE_QUOTA", isBytes: true },
} as const satisfies Record<string, QuotaEntry>;

export type QuotaName = keyof typeof QUOTAS;
export const QUOTA_NAMES = Object.keys(QUOTAS) as [QuotaName, ...QuotaName[]];

/** The highest limit that is taken for one of things, and of bytes. */
const MAX_QUOTA = 1_000_000_000;
const MAX_BYTES_QUOTA = 2 ** 50;

/** Whether a quota counts bytes. */
export function countsBytes(name: QuotaName): boolean {
  const { isBytes = false }: QuotaEntry = QUOTAS[name];
  return isBytes;
}

/** The highest limit of that quota. */
export function mostOf(name: QuotaName): number {
  return countsBytes(name) ? MAX_BYTES_QUOTA : MAX_QUOTA;
}

/** Limits by name. 0: any number. What is absent is as the next wider scope has it. */
export type Quotas = Partial<Record<QuotaName, number>>;

/** The limits of all tenants that the operator set, and those that count for all others. */
export type QuotaDefaults = Readonly<Record<QuotaName, number>>;

/** Whose limits they are: a tenant's, or those of one function of it. */
export function scopeOf(tenant: string, functionName?: string): string {
  return functionName === undefined ? tenant : `${tenant}/${functionName}`;
}

/** Figures of a limit that is reached. */
export interface QuotaFigures {
  limit: number;
  used: number;
  /** When there is room again, as far as it is known. */
  retryAfterSeconds?: number;
  /** The remedy, as a sentence. */
  remedy?: string;
}

/** Says that a limit is reached: which, how much it is, and how much is used. */
export function quotaExceeded(name: QuotaName, scope: string, figures: QuotaFigures): SandpiperError {
  const { limit, used, retryAfterSeconds, remedy } = figures;
  const message = `${quotaMessage(name, scope, { limit, used })}${remedy === undefined ? "" : ` ${remedy}`}`;
  return new SandpiperError(QUOTAS[name].code, { message, quota: { name, limit, used }, retryAfterSeconds });
}

/** The sentence about a limit that is reached. */
export function quotaMessage(name: QuotaName, scope: string, { limit, used }: QuotaFigures): string {
  return `${scope} may have ${limit} ${QUOTAS[name].unit} (${name}), and has ${used}.`;
}
