/** Finding out why a sandbox ended, as far as that can be known in time. */
import { settledWithin } from "../../infra/std/time.ts";
import type { Sandbox } from "../../sandbox-core/index.ts";
import { type CallFailure, type Cause, judge } from "../outcome/outcome.ts";
import type { Output } from "./output.ts";

/** Time for a sandbox to end after it closed its wire. */
export const DYING_MS = 500;
/** Time to wait for a killed sandbox's usage figures before answering without them. */
const DEATH_LIMIT_MS = 2_000;

/** Causes that explain an end, so that nobody should wait for more. */
const EXPLAINED: readonly Cause["by"][] = ["deadline", "work_limit", "client_gone"];

export interface Dying {
  sandbox: Sandbox;
  output: Output;
  /** The first thing that spoke against the sandbox. */
  cause: Cause | null;
  memoryMiB: number;
  isLoading: boolean;
}

/** The failure of a call whose sandbox is ending; settles as soon as it is known. */
export async function explain({ sandbox, output, cause, ...facts }: Dying): Promise<CallFailure> {
  if (cause !== null && EXPLAINED.includes(cause.by)) return judge({ cause, exit: null, outputTail: "", ...facts });
  const exit = await settledWithin(DEATH_LIMIT_MS, sandbox.exited);
  await settledWithin(DYING_MS, output.ended);
  return judge({ cause, exit, outputTail: output.tail, ...facts });
}
