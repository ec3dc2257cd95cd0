/** What a sandbox is told of the version that it is to load. */
import type { Version } from "../../functions/model/version.ts";
import { encodeLoad } from "../../sandbox-core/protocol/frames.ts";
import type { Bundle } from "../code/bundles.ts";
import { LOG_LIMITS } from "../outcome/call-log.ts";

/** @param env the version's environment, opened */
export function loadFrames(version: Version, env: Record<string, string>, { code, sourceMap }: Bundle): Uint8Array[] {
  const { tenant, functionName, entry, config } = version;
  const { isolation = "instance", memoryMiB, timeoutMs, handler = null, kind = null } = config;
  const names = { tenant, functionName, version: version.version, entry, handler, kind };
  const load = { ...names, env: { ...env }, isolation, memoryMiB, timeoutMs, limits: LOG_LIMITS };
  return encodeLoad(load, code, sourceMap);
}
