/**
 * Which traces are recorded: the standard OTEL_TRACES_SAMPLER, with a default that costs nothing
 * when nobody looks.
 */
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler,
} from "@opentelemetry/sdk-trace";
import { type Environment, EnvironmentReader } from "../environment.ts";

const SAMPLERS = [
  "always_on",
  "always_off",
  "traceidratio",
  "parentbased_always_on",
  "parentbased_always_off",
  "parentbased_traceidratio",
] as const;

/**
 * The sampler that OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG name. Without them: what the
 * caller's traceparent says, and for a call without one everything if spans are exported, else
 * nothing. `recordsRoots` is whether it records any trace that nobody outside began.
 * @see
 * https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration
 * @throws ConfigError naming the variable that is wrong.
 */
export function createSampler(env: Environment): { sampler: Sampler; recordsRoots: boolean } {
  const read = new EnvironmentReader(env);
  const exporting = env.OTEL_EXPORTER_OTLP_ENDPOINT || env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT;
  const fallback = exporting ? "parentbased_always_on" : "parentbased_always_off";
  const name = read.choice("OTEL_TRACES_SAMPLER", SAMPLERS, fallback);
  const ratio = ratioOf(read);
  read.finish();
  const root = name.endsWith("always_on")
    ? new AlwaysOnSampler()
    : name.endsWith("always_off")
      ? new AlwaysOffSampler()
      : new TraceIdRatioBasedSampler(ratio);
  const sampler = name.startsWith("parentbased_") ? new ParentBasedSampler({ root }) : root;
  return { sampler, recordsRoots: !name.endsWith("always_off") };
}

function ratioOf(read: EnvironmentReader): number {
  const text = read.text("OTEL_TRACES_SAMPLER_ARG") ?? "1";
  const ratio = /^\d*\.?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (ratio >= 0 && ratio <= 1) return ratio;
  read.problem("OTEL_TRACES_SAMPLER_ARG", "must be a number from 0 to 1");
  return 1;
}
