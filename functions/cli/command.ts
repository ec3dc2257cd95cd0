/** The parts of a command. */
import type { Command } from "commander";
import type { Io } from "./io.ts";

/**
 * Gives the command with the options that all have and these examples; for the file of the command
 * to complete.
 */
export type AddCommand = (examples: readonly string[], options?: { ownUrlOption?: boolean }) => Command;

/** Sets the exit code of a command that did its work and yet has bad news. */
export type SetExitCode = (code: number) => void;

/** Completes a command with its own options and its action. */
export type CompleteCommand = (add: AddCommand, io: Io, setExitCode: SetExitCode) => void;
