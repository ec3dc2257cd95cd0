/**
 * Limits of the memory that sandboxes of a tenant may have. Counted are the memory limits of those
 * that serve calls, are on their way, or are kept however idle; other instances that serve nobody
 * make way for others, and count for nobody. A call that would need more waits for a second for
 * another of its tenant to end, and is refused then.
 */
import { quotaMessage } from "../../functions/model/quotas.ts";
import type { TenantSettings } from "../../functions/store/limits/tenant-settings.ts";
import { MIB } from "../../infra/std/bytes.ts";
import { CallFailure } from "../outcome/outcome.ts";
import type { Waiter } from "./waiting-call.ts";

const WAIT_MS = 1_000;

export interface MemoryLimitsOptions {
  tenants: Pick<TenantSettings, "of">;
  /** Bytes that a tenant has. */
  bytesOf(tenant: string): number;
  /** Has calls that wait be looked at again. */
  lookAgain(): void;
}

export class MemoryLimits {
  readonly #options: MemoryLimitsOptions;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: MemoryLimitsOptions) {
    this.#options = options;
  }

  /** Whether no sandbox may be started for a call now. Fails a call that has waited for long. */
  hold(waiter: Pick<Waiter, "version" | "sinceMs" | "fail">): boolean {
    const { tenant, config } = waiter.version;
    const limit = this.#options.tenants.of(tenant).own.memoryInUse;
    if (limit === 0) return false;
    const [wanted, used] = [config.memoryMiB * MIB, this.#options.bytesOf(tenant)];
    if (used + wanted <= limit) return false;
    const leftMs = waiter.sinceMs + WAIT_MS - performance.now();
    if (leftMs > 0 && wanted <= limit) this.#lookIn(leftMs);
    else waiter.fail(refusal(tenant, { limit, used, wanted }));
    return true;
  }

  #lookIn(delayMs: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#options.lookAgain();
    }, delayMs).unref();
  }
}

function refusal(tenant: string, { limit, used, wanted }: { limit: number; used: number; wanted: number }) {
  const message = `${quotaMessage("memoryInUse", tenant, { limit, used })} The call needs ${wanted}. It did not run.`;
  return new CallFailure("platform_error", "CALL_QUOTA", message);
}
