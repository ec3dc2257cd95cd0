/** Runs `sandpiper dev` on a terminal or for a tool, until it is told to end. */

import { once } from "node:events";
import { realpathSync } from "node:fs";
import type { Gateway } from "../client/gateway.ts";
import { loadConfig } from "../config/config-file.ts";
import { envTypesOf, refreshEnvTypes } from "../config/env-types.ts";
import type { Io } from "../io.ts";
import { openUrl } from "../show/open-url.ts";
import { hasKeys, listenToKeys } from "./keys.ts";
import { jsonReport, type Report, terminalReport } from "./report.ts";
import { DevSession } from "./session.ts";

/** Clears a terminal and what was scrolled out of it (ECMA-48: CUP, ED; xterm's own ED 3). */
const CLEAR = "\x1b[H\x1b[2J\x1b[3J";

export interface DevRun {
  gateway: Gateway;
  /** The function's, free of symbolic links. */
  directory: string;
  port: number | undefined;
  isOpened: boolean;
  json: boolean;
}

/** Serves until Ctrl-C. @throws CliError when it cannot begin */
export async function runDev(io: Io, { gateway, directory, port, isOpened, json }: DevRun): Promise<void> {
  const { config } = await loadConfig(directory, realpathSync(io.cwd));
  const withKeys = !json && hasKeys(io);
  const report = json ? jsonReport(io) : terminalReport(io, { keys: withKeys });
  const quit = new AbortController();
  const session = await DevSession.start({
    ...{ gateway, directory, port, report, functionName: config.name, closing: new AbortController() },
    onRead: ({ config }) => refreshTypes(directory, config.env, report),
  });
  const open = async () => {
    const problem = await openUrl(io, session.url);
    if (problem !== null) report.note(problem);
  };
  const stopListening = withKeys
    ? listenToKeys(io, {
        restart: () => session.restart(),
        open: () => void open(),
        clear: () => void io.stderr.write(CLEAR),
        quit: () => quit.abort(),
      })
    : () => {};
  if (isOpened) await open();
  const signal = AbortSignal.any([quit.signal, io.interrupted]);
  if (!signal.aborted) await once(signal, "abort");
  stopListening();
  await session.close();
}

/** Keeps the file of `sandpiper types` up to date where there is one. */
async function refreshTypes(directory: string, env: Record<string, string>, report: Report): Promise<void> {
  const file = await refreshEnvTypes(directory, envTypesOf(env));
  if (file !== null) report.note(`${file} was written anew, as "env" changed`);
}
