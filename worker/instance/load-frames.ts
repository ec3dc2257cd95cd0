/** What a sandbox is told of the version that it is to load. */
import type { Version } from "../../functions/model/version.ts";
import { encodeLoad } from "../../sandbox-core/protocol/frames.ts";
import type { Bundle } from "../code/bundles.ts";
import { LOG_LIMITS } from "../outcome/call-log.ts";

/**
 * @param env the version's environment, opened
 * @param caCertificate of an issuer that its code is to trust
 */
export function loadFrames(
  version: Version,
  env: Record<string, string>,
  { code, sourceMap }: Bundle,
  caCertificate: string | null = null,
): Uint8Array[] {
  const { tenant, functionName, entry, config } = version;
  const { isolation = "instance", memoryMiB, timeoutMs, handler = null, kind = null } = config;
  const names = { tenant, functionName, version: version.version, entry, handler, kind };
  const load = {
    ...names,
    env: { ...env },
    isolation,
    memoryMiB,
    timeoutMs,
    limits: LOG_LIMITS,
    ...(caCertificate !== null && { caCertificate }),
  };
  return encodeLoad(load, code, sourceMap);
}
