/**
 * Threads of a function's own. Each begins with Node's own view of the process, and would tell of
 * the host what the main thread does not (environment.ts): so it runs some code before the
 * function's. A thread has no file of ours, and gets the text of that code.
 */
import type { Worker } from "node:worker_threads";

/** The facts of a process that a function is shown. */
export interface Shown {
  execPath: string;
  argv: string[];
  execArgv: string[];
}

/**
 * Parts of Node's loader without types: packages that change how modules are found have used them
 * for long.
 */
interface Loader {
  _cache: Record<string, unknown>;
  /** Finds the folders of all modules anew, by process.execPath. */
  _initPaths(): void;
}

/**
 * Has the process, its report and Node's loader show this program, and nothing of the one that
 * runs: no command line, no library, no module of ours. A report that Node writes to a file itself
 * is not made: nobody could mask it. The text of this function goes to threads: so it uses nothing
 * from outside of it.
 */
export function showProgram(shown: Shown): void {
  const getReport = process.report.getReport.bind(process.report);
  const masked = (error?: Error) => {
    const report = getReport(error) as { header: object; sharedObjects: string[] };
    Object.assign(report.header, { commandLine: [shown.execPath] });
    report.sharedObjects = [];
    return report;
  };
  for (const [name, value] of Object.entries({ ...shown, report: { getReport: masked } })) {
    Object.defineProperty(process, name, { value, configurable: true, writable: true, enumerable: true });
  }
  const loader = process.getBuiltinModule("node:module") as unknown as Loader;
  for (const path of Object.keys(loader._cache)) delete loader._cache[path];
  loader._initPaths();
}

/**
 * Has every thread that is started from now on run the code in this URL first, whatever flags it is
 * given, and once: afterwards this program is shown. Goes to threads as well, which may start
 * others.
 */
function preloadInThreads(url: string, execPath: string): void {
  const threads = process.getBuiltinModule("node:worker_threads");
  const { Worker } = threads;
  const { construct } = Reflect;
  const isStrict = RegExp.prototype.test.bind(/^\s*(["'])use strict\1/);
  // Node imports nothing before a text that is a script. In its first line, so that all keep
  // their numbers.
  const isShown = `process.execPath === ${JSON.stringify(execPath)}`;
  const first = `${isShown} || (0, eval)(decodeURIComponent(process.execArgv[1].split(",")[1]));`;
  const Preloading = new Proxy(Worker, {
    construct(target, args, newTarget) {
      const [program, options] = args;
      const given: unknown = options?.execArgv ?? [];
      if (!Array.isArray(given)) return construct(target, args, newTarget);
      const execArgv = ["--import", url, ...given];
      const isText = typeof program === "string" && options?.eval;
      const text = isText && (isStrict(program) ? `"use strict";${first}${program}` : first + program);
      return construct(target, [isText ? text : program, { ...options, execArgv }], newTarget);
    },
  });
  Worker.prototype.constructor = Preloading;
  threads.Worker = Preloading;
  process.getBuiltinModule("node:module").syncBuiltinESMExports();
}

/**
 * Has TLS trust one more issuer than Node does by itself, in this thread alone. Goes to threads as
 * well.
 */
function trustIssuer(certificate: string): void {
  const tls = process.getBuiltinModule("node:tls");
  tls.setDefaultCACertificates([...tls.getCACertificates("default"), certificate]);
}

/** Node's own class, which is covered anew when more is known of what threads do first. */
let ofNode: typeof Worker | undefined;

/**
 * Has threads show the same program as this one, with their own arguments, and trust an issuer if
 * one is given, as this thread does from now on.
 */
export function coverThreads(execPath: string, issuer: string | null): void {
  const threads = process.getBuiltinModule("node:worker_threads");
  ofNode ??= threads.Worker;
  threads.Worker = ofNode;
  if (issuer !== null) trustIssuer(issuer);
  const trust = issuer === null ? "" : `(${trustIssuer})(${JSON.stringify(issuer)});`;
  const node = JSON.stringify(execPath);
  const shown = `{ execPath: ${node}, argv: ["node", ...process.argv.slice(1)], execArgv: process.execArgv.slice(2) }`;
  const cover = `(${preloadInThreads})(process.execArgv[1], ${node}); ${trust} (${showProgram})(${shown});`;
  preloadInThreads(`data:text/javascript,${encodeURIComponent(cover)}`, execPath);
}
