/** Quotas: how much a tenant, or one function of it, may have or do. */
import { SandpiperError } from "./errors.ts";

interface QuotaEntry {
  /** The counted things, as a sentence goes on after a number. */
  unit: string;
  /** Whether a single function may have one. */
  ofFunctions: boolean;
  code: "CALL_QUOTA" | "DEPLOY_QUOTA";
}

export const QUOTAS = {
  callsPerSecond: { unit: "calls a second", ofFunctions: true, code: "CALL_QUOTA" },
  callsInCourse: { unit: "calls that wait or run at once in a gateway", ofFunctions: false, code: "CALL_QUOTA" },
  functions: { unit: "functions", ofFunctions: false, code: "DEPLOY_QUOTA" },
  deploysPerHour: { unit: "deployments an hour", ofFunctions: false, code: "DEPLOY_QUOTA" },
  warmInstances: { unit: "instances kept warm", ofFunctions: false, code: "DEPLOY_QUOTA" },
} as const satisfies Record<string, QuotaEntry>;

export type QuotaName = keyof typeof QUOTAS;
export const QUOTA_NAMES = Object.keys(QUOTAS) as [QuotaName, ...QuotaName[]];

/** The highest limit that is taken for one. */
export const MAX_QUOTA = 1_000_000_000;

/** Limits by name. 0: any number. What is absent is as the next wider scope has it. */
export type Quotas = Partial<Record<QuotaName, number>>;

/** The limits of all tenants that the operator set, and those that count for all others. */
export type QuotaDefaults = Readonly<Record<QuotaName, number>>;

/** Whose limits they are: a tenant's, or those of one function of it. */
export function scopeOf(tenant: string, functionName?: string): string {
  return functionName === undefined ? tenant : `${tenant}/${functionName}`;
}

/** Says that a limit is reached: which, how much it is, and how much is used. */
export function quotaExceeded(name: QuotaName, scope: string, { limit, used }: { limit: number; used: number }) {
  const { unit, code } = QUOTAS[name];
  const message = `${scope} may have ${limit} ${unit} (${name}), and has ${used}.`;
  return new SandpiperError(code, { message });
}
