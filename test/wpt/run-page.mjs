/**
 * Runs the scripts of one web-platform test in the process that it is loaded into: plain Node, or a
 * sandbox. This file is the whole of what is loaded, so it imports nothing of ours.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import { runInThisContext } from "node:vm";

/** The key under which Node's fetch looks for what relative URLs are relative to. */
const ORIGIN = Symbol.for("undici.globalOrigin.1");

/**
 * The results of a page, `{ name, status, message }` each; status 0 is a pass.
 * @param page as pages.ts makes it
 */
export async function runPage({ path, scripts, files, timeoutMs }) {
  // Tests leave rejections and throw in timers on purpose.
  for (const event of ["uncaughtException", "unhandledRejection"]) process.on(event, () => undefined);
  const server = createServer((request, response) => {
    const name = new URL(request.url ?? "/", "http://localhost").pathname;
    const file = files[name];
    response.writeHead(file === undefined ? 404 : 200).end(file);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const base = new URL(path, `http://127.0.0.1:${server.address().port}`);
  const define = (name, value) =>
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  define(ORIGIN, base);
  define("self", globalThis);
  define("location", base);
  define("GLOBAL", { isWindow: () => false, isWorker: () => false, isShadowRealm: () => false });
  const results = [];
  const { promise, resolve } = Promise.withResolvers();
  const [harness, ...rest] = scripts;
  runInThisContext(harness.code, { filename: harness.name });
  globalThis.add_result_callback(({ name, status, message }) => results.push({ name, status, message }));
  globalThis.add_completion_callback(resolve);
  const timer = setTimeout(resolve, timeoutMs);
  for (const { name, code } of rest)
    try {
      runInThisContext(code, { filename: name });
    } catch (error) {
      results.push({ name: `the script ${name}`, status: 1, message: String(error) });
    }
  await promise;
  clearTimeout(timer);
  server.closeAllConnections();
  server.close();
  return results;
}
