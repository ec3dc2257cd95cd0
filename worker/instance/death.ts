/** Finding out why a sandbox ended, as far as that can be known in time. */
import { settledWithin } from "../../infra/std/time.ts";
import type { Sandbox } from "../../sandbox-core/index.ts";
import { type CallFailure, type Cause, judge } from "../outcome/outcome.ts";
import type { Output } from "./output.ts";

/** A sandbox that closed its wire is dying, and has so long for it. */
export const DYING_MS = 500;
/** Time to wait for a killed sandbox's usage figures before answering without them. */
const DEATH_LIMIT_MS = 2_000;

export interface Dying {
  sandbox: Sandbox;
  output: Output;
  /** The first thing that spoke against it. */
  cause: Cause | null;
  memoryMiB: number;
}

/** What a call ends with whose sandbox is ending; settles as soon as that is known. */
export async function explain({ sandbox, output, cause, memoryMiB }: Dying): Promise<CallFailure> {
  // These need no explanation, and nobody is to wait for one.
  if (cause?.by === "deadline" || cause?.by === "client_gone")
    return judge({ cause, exit: null, outputTail: "", memoryMiB });
  const exit = await settledWithin(DEATH_LIMIT_MS, sandbox.exited);
  await settledWithin(DYING_MS, output.ended);
  return judge({ cause, exit, outputTail: output.tail, memoryMiB });
}
