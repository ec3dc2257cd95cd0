/** Answers a shell that completes a command line of `sandpiper`. */
import type { Command } from "commander";
import { findConnection } from "../client/connection.ts";
import { Gateway } from "../client/gateway.ts";
import type { Io } from "../io.ts";
import { type Candidate, candidatesFor } from "./candidates.ts";

/** Longest wait of a user who pressed a key for a gateway. */
const GATEWAY_LIMIT_MS = 1_000;

/**
 * Prints the candidates for the last of the words, one a line, each with its description behind a
 * tab. Never rejects, and says nothing else: the words are half a command.
 */
export async function complete(io: Io, words: readonly string[], program: Command): Promise<void> {
  const found = await candidatesFor(words, program, () => functionNames(io)).catch((): Candidate[] => []);
  io.stdout.write(found.map(({ word, description }) => `${word}\t${description}\n`).join(""));
}

async function functionNames(io: Io): Promise<string[]> {
  const limit = AbortSignal.any([io.interrupted, AbortSignal.timeout(GATEWAY_LIMIT_MS)]);
  const functions = await new Gateway(await findConnection(io, {}), limit).list();
  return functions.map(({ name }) => name);
}
